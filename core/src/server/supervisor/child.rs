//! The child's end of the line to its supervisor: a thread that does as it is told. It never touches a shard.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Word;
use crate::server::signals;
use crate::session::SessionService;

/// Whether this server was told to go because another one has come. The main thread looks after each
/// [`Inside`](signals::Signal::Inside).
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Retirement(Arc<AtomicBool>);

impl Retirement {
    /// Listens to the supervisor from now on.
    pub(in crate::server) fn await_word(line: UnixStream, sessions: SessionService) -> io::Result<Self> {
        let retirement = Self::default();
        let told = retirement.clone();
        std::thread::Builder::new().name("supervised".to_owned()).spawn(move || told.listen(line, &sessions))?;
        Ok(retirement)
    }

    /// Whether it was.
    pub(in crate::server) fn is_due(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Until the supervisor is gone: then the kernel sends us a SIGTERM.
    fn listen(&self, mut line: UnixStream, sessions: &SessionService) {
        let mut byte = [0];
        while line.read_exact(&mut byte).is_ok() {
            match Word::of(byte[0]) {
                Some(Word::LetGo) => sessions.let_go(),
                Some(Word::TakeBack) => sessions.take_back(),
                Some(Word::Retire) => {
                    self.0.store(true, Ordering::Release);
                    signals::notify_inside();
                }
                Some(Word::WantsStore | Word::Ready | Word::Alive) | None => {}
            }
        }
    }
}
