//! `--supervise`: a parent process that holds the listening sockets, starts the server as its child, starts it again when
//! it dies, and puts a new one into its place without refusing anybody. The parent serves nobody and has one thread.
//!
//! ```text
//!            TERM, INT, HUP, USR1, USR2                      listening sockets (LISTEN_FDS)
//!   operator ----------------> supervisor -------------------------> server, a child
//!                                  ^   \------ LetGo, TakeBack, Retire ---->  |
//!                                   \<-------- WantsStore, Ready, Alive -----/
//! ```
//! A hand-over (USR2): a second child starts on the same sockets; when it comes to the session store, the first is told to
//! let go of it; when it is ready, the first is told to retire: it stops accepting, and sends its clients away. Whoever
//! connects at any moment of that is in a queue from which one of the two accepts.

mod child;
mod member;
mod parent;
mod restarts;
mod spawn;
mod wait;
mod word;

pub(super) use child::Retirement;
pub(super) use parent::supervise;
pub(super) use word::Word;
