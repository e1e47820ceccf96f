//! The fence around the application's code: a panic inside ends what was being done, and nothing else. It never hides
//! one: whoever puts up the fence gets the text and the place and must log them. The process's panic hook keeps quiet
//! about fenced panics only, so that each makes one log line and not a second report on stderr.
//!
//! One panic goes through to the outermost fence, which is the shard's: the [`Breach`], for those who want to see what
//! follows from a shard's death.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::sync::Once;

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    /// Its message, with the place where the hook saw it.
    pub(crate) text: String,
}

/// What a panic carries that no fence but the outermost one stops.
struct Breach;

/// Panics as a bug in the state machine would: the shard's last words are these.
pub(crate) fn breach() -> ! {
    panic_any(Breach)
}

/// Runs the application's code. State that it shares with the rest of its shard is its own to keep consistent; ours is
/// never borrowed across this call.
pub(crate) fn fence<R>(work: impl FnOnce() -> R) -> Result<R, Panic> {
    guarded(work).map_err(|payload| {
        if payload.is::<Breach>() && DEPTH.get() > 0 {
            resume_unwind(payload);
        }
        let seen = CAUGHT.with_borrow_mut(Option::take);
        let text = seen.unwrap_or_else(|| message(&*payload).to_owned());
        dispose(payload);
        Panic { text }
    })
}

fn guarded<R>(work: impl FnOnce() -> R) -> std::thread::Result<R> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome
}

/// A payload is the application's, too, and its destructor may panic in turn; what that leaves is not touched again.
fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = guarded(|| drop(payload)) {
        CAUGHT.take();
        std::mem::forget(another);
    }
}

/// Makes the process's panic hook leave fenced panics to their fence. Only the first call does anything.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !keep(info) {
                previous(info);
            }
        }));
    });
}

/// Keeps the text of a fenced panic. A second one before the first is caught comes from a destructor while unwinding:
/// the process is about to abort, and must say why.
fn keep(info: &PanicHookInfo<'_>) -> bool {
    if DEPTH.try_with(std::cell::Cell::get).unwrap_or(0) == 0 {
        return false;
    }
    let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
    let said = message(info.payload());
    let text = format!("{}{place}", &said[..said.floor_char_boundary(TEXT_BYTES_MAX)]);
    CAUGHT
        .try_with(|caught| match caught.try_borrow_mut() {
            Ok(mut caught) if caught.is_none() => {
                *caught = Some(text);
                true
            }
            _ => false,
        })
        .unwrap_or(false)
}

/// The text of a panic's payload, which is one of two types for everything that the macros make.
fn message(payload: &(dyn Any + Send)) -> &str {
    if payload.is::<Breach>() {
        return "the shard was told to break";
    }
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// A log line's worth of a panic's text, which may quote what a client sent.
const TEXT_BYTES_MAX: usize = 1_024;

thread_local! {
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_panic_gives_its_text_and_its_place() {
        install();
        let panic = fence(|| -> u32 { panic!("no {}", "luck") }).expect_err("it panicked");
        assert!(panic.text.starts_with("no luck ("), "{}", panic.text);
        assert!(panic.text.contains("fence.rs:"), "{}", panic.text);
        assert_eq!(fence(|| 7), Ok(7));
    }

    #[test]
    fn a_text_is_cut_to_what_a_log_line_holds() {
        install();
        let panic = fence(|| panic!("{}", "ä".repeat(100_000))).expect_err("it panicked");
        assert!((1_000..1_200).contains(&panic.text.len()), "{}", panic.text.len());
    }

    #[test]
    fn a_payload_that_no_macro_made_is_still_a_panic() {
        let panic = fence(|| std::panic::resume_unwind(Box::new(7_u8))).expect_err("it panicked");
        assert_eq!(panic.text, "a panic without a text");
    }

    #[test]
    fn a_payload_whose_destructor_panics_is_one_panic_and_stays_inside() {
        /// Panics when it is dropped, as often as told.
        struct Bomb(u32);
        impl Drop for Bomb {
            fn drop(&mut self) {
                if self.0 > 0 {
                    std::panic::panic_any(Self(self.0 - 1));
                }
            }
        }
        install();
        for depth in 0..3 {
            let panic = fence(|| std::panic::panic_any(Bomb(depth))).expect_err("it panicked");
            assert!(panic.text.starts_with("a panic without a text ("), "{}", panic.text);
            let panic = fence(|| panic!("the next")).map(|()| 0).expect_err("it panicked");
            assert!(panic.text.starts_with("the next ("), "{}", panic.text);
        }
    }

    #[test]
    fn a_breach_goes_through_to_the_outermost_fence() {
        install();
        let after = std::cell::Cell::new(false);
        let panic = fence(|| {
            let inner = fence(|| fence(|| -> u32 { breach() }));
            after.set(true);
            inner
        });
        let panic = panic.map(|_| ()).expect_err("the outermost stops it");
        assert!(panic.text.starts_with("the shard was told to break ("), "{}", panic.text);
        assert!(!after.get());
        assert_eq!(fence(|| 7), Ok(7));
    }

    #[test]
    fn fences_nest_and_each_panic_reaches_the_nearest() {
        install();
        let outer = fence(|| {
            let inner = fence(|| panic!("inner")).expect_err("it panicked");
            assert!(inner.text.starts_with("inner"), "{}", inner.text);
            panic!("outer");
        });
        let outer: Panic = outer.expect_err("it panicked");
        assert!(outer.text.starts_with("outer"), "{}", outer.text);
    }
}
