//! SocketShard.
