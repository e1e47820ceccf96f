//! The server's WebSocket side held against RFC 6455, case by case: a strict client on a bare socket says what a peer may
//! or may not say, and the server must answer as the RFC wants it, at the earliest byte that decides. The cases bear the
//! numbers of the Autobahn test suite's, whose published descriptions they follow, and expect its strict verdict.

mod case;
mod client;
mod closing;
mod compression;
mod deflate;
mod fragments;
mod frame;
mod frames;
mod large;
mod utf8;
mod window;
