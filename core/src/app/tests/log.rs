//! What the log says about panics: one line each, with the name and the text, and nothing else on stderr.

use std::io;
use std::sync::{Arc, Mutex};

use super::{Outcome, World};
use crate::app::App;

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().expect("no writer panics").clone();
    String::from_utf8(bytes).expect("the log is text")
}

fn panicking() -> World {
    World::new(
        App::new().action("app.bad", || -> u32 { panic!("the text") }).on_disconnect(|| -> () { panic!("the hook's") }),
    )
}

#[test]
fn a_panic_is_one_log_line_with_its_action_its_text_and_its_place() {
    let text = logged(|| assert!(matches!(panicking().call("app.bad", None), Outcome::Error(_))));
    let lines: Vec<_> = text.lines().collect();
    let [line] = &*lines else { panic!("{text}") };
    for part in ["ERROR", "action panicked", "app.bad", "the text", "log.rs:"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[test]
fn a_hooks_panic_names_the_hook() {
    let text = logged(|| panicking().disconnect(1000, ""));
    assert!(text.lines().count() == 1 && text.contains("on_disconnect") && text.contains("the hook's"), "{text}");
}

#[test]
fn an_internal_error_tells_the_log_and_not_the_client() {
    let mut world =
        World::new(App::new().action("x", || -> crate::app::Result { Err(crate::app::Error::internal("the secret")) }));
    let text = logged(|| {
        let Outcome::Error(error) = world.call("x", None) else { panic!("it is an error") };
        assert_eq!(error, r#"{"message":"internal error","name":"InternalError"}"#);
    });
    assert!(text.contains("the secret"), "{text}");
}

#[test]
fn the_operator_is_told_which_client_is_over_its_rate() {
    let text = logged(|| shard::Host::over_rate(&mut World::new(App::new()).host, super::peer(), "Ab_3"));
    assert!(text.lines().count() == 1, "{text}");
    for part in ["WARN", "127.0.0.1:5000", "Ab_3", "--client-rate"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

/// The body of the next test's child.
#[test]
fn a_fenced_panic_and_a_plain_one() {
    assert!(matches!(panicking().call("app.bad", None), Outcome::Error(_)));
    let outside = std::panic::catch_unwind(|| panic!("outside of the fence"));
    assert!(outside.is_err());
}

#[test]
fn the_panic_hook_is_silent_about_fenced_panics_only() {
    let program = std::env::current_exe().expect("this test's own binary");
    let name = concat!(module_path!(), "::a_fenced_panic_and_a_plain_one");
    let name = name.split_once("::").expect("the crate's name comes first").1;
    let output =
        std::process::Command::new(program).args([name, "--exact", "--nocapture"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(said.contains("outside of the fence"), "{said}");
    assert!(!said.contains("the text"), "{said}");
}
