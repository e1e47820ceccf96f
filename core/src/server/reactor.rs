#![allow(unsafe_code)] // glommio offers no other way to await a descriptor than to take one over raw
//! Visits to glommio's reactor: the shard sleeps in its own ring, so glommio's timers, files and channels are served
//! when the driver says so. It never sleeps there.

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use futures_util::io::AsyncReadExt;
use glommio::net::TcpStream;

/// The way into the reactor: an eventfd that is always ready.
#[derive(Debug)]
pub(super) struct Reactor {
    ready: OwnedFd,
}

impl Reactor {
    /// Must be called on the executor's thread.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let descriptor = unsafe { libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // An executor that finds nothing runnable because the preemption timer fired at the wrong moment parks until
        // something in its reactor wakes it (glommio 0.9): this does, so such an accident lasts 50 ms at most.
        glommio::spawn_local(async {
            loop {
                glommio::timer::sleep(Duration::from_millis(50)).await;
            }
        })
        .detach();
        // SAFETY: eventfd just returned it, and nobody else knows it.
        Ok(Self { ready: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }

    /// Goes through the reactor once, then lets the tasks run that it woke. Without a descriptor to spare, when
    /// connections hold them all, it leaves out the first half: glommio's own timer comes by ten times a second.
    pub(super) async fn visit(&self) {
        if let Ok(descriptor) = self.ready.try_clone() {
            // SAFETY: our own duplicate, which the stream closes. It is no socket: the stream arms a poll for it when it
            // is made, and that is all we want; the read after it fails.
            let mut stream = unsafe { TcpStream::from_raw_fd(descriptor.into_raw_fd()) };
            let _ = stream.read(&mut [0]).await;
        }
        self.rest().await;
    }

    /// Lets runnable tasks run, without the reactor.
    pub(super) async fn rest(&self) {
        glommio::executor().yield_task_queue_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Instant;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    fn run<T: Send + 'static>(test: impl AsyncFnOnce(Reactor) -> T + Send + 'static) -> T {
        LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 << 10)
            .spawn(move || async move { test(Reactor::new().expect("an eventfd")).await })
            .expect("a kernel with io_uring")
            .join()
            .expect("no assertion failed")
    }

    #[test]
    fn a_visit_serves_timers_and_runs_what_they_wake() {
        run(async |reactor: Reactor| {
            let fired = Rc::new(Cell::new(false));
            let flag = Rc::clone(&fired);
            glommio::spawn_local(async move {
                glommio::timer::sleep(Duration::from_millis(1)).await;
                flag.set(true);
            })
            .detach();
            reactor.rest().await;
            let deadline = Instant::now() + Duration::from_secs(10);
            while !fired.get() {
                assert!(Instant::now() < deadline, "visits do not reach the timers");
                reactor.visit().await;
            }
        });
    }

    #[test]
    fn a_visit_never_waits_when_nothing_happens() {
        let began = Instant::now();
        run(async |reactor: Reactor| {
            for _ in 0..1000 {
                reactor.visit().await;
            }
        });
        assert!(began.elapsed() < Duration::from_secs(20), "parked on each visit, it would take 50 s");
    }
}
