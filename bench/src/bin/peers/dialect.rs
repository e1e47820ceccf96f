//! What the generator speaks with a server.

/// A protocol of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Bare WebSocket messages: the server echoes them, or sends each to everybody.
    Raw,
    /// SocketCluster, version 2.
    SocketCluster,
    /// Socket.IO, protocol 5 over Engine.IO 4.
    SocketIo,
}

impl Dialect {
    /// What a call, a publication or a connection of this dialect is called in a table.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::SocketCluster => "SocketCluster",
            Self::SocketIo => "Socket.IO",
        }
    }

    /// The generator's name of it.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::SocketCluster => "socketcluster",
            Self::SocketIo => "socketio",
        }
    }
}
