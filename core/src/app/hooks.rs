//! The application's hooks: who is asked for what, and in which order. All hooks that match must allow; the first that
//! refuses decides, and those after it are not asked.

use std::fmt;
use std::rc::Rc;

use codec::message::RawJson;
use shard::{Disconnect, LoginEnd, Ticket, Verdict};

use super::call::{Call, Occasion};
use super::endpoint::Hook;
use super::error::{Error, Result};
use super::fence::fence;
use super::handler::Step;
use super::local::{Counters, Local};
use super::request::Request;
use super::tasks::{LocalFuture, Work, hook_panicked};

/// The hooks of one occasion, in the order they were registered.
#[derive(Default)]
pub(crate) struct Hooks {
    list: Vec<(Pattern, Rc<dyn Hook>)>,
}

impl Hooks {
    /// Adds a hook.
    pub(crate) fn push(&mut self, pattern: Pattern, hook: Rc<dyn Hook>) {
        self.list.push((pattern, hook));
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Hook> {
        self.list.iter().map(|(_, hook)| &**hook)
    }

    /// Whether any is there.
    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// For whom they are.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.list.iter().map(|(pattern, _)| pattern)
    }

    /// Whether all that match allow. They cannot wait here: one that would refuses.
    pub(crate) fn allow(&self, call: &Call<'_>) -> bool {
        self.list.iter().filter(|(pattern, _)| pattern.matches(call.subject)).all(|(_, hook)| {
            match fenced(call, || hook.call(call)) {
                Some(Step::Done(verdict)) => verdict.is_ok(),
                Some(Step::Later(_)) => {
                    tracing::error!(hook = name(call.occasion), "this hook cannot wait: it counts as a refusal");
                    false
                }
                None => false,
            }
        })
    }

    /// Asks all that match: the verdict at once, or work that will have it.
    pub(crate) fn ask(&self, ticket: Ticket, call: &Call<'_>) -> Result<Option<Work>> {
        let mut matching = self.list.iter().filter(|(pattern, _)| pattern.matches(call.subject));
        while let Some((_, hook)) = matching.next() {
            match fenced(call, || hook.call(call)) {
                None => return Err(Error::panicked()),
                Some(Step::Done(verdict)) => verdict?,
                Some(Step::Later(verdict)) => {
                    let rest: Vec<_> = matching.map(|(_, hook)| Rc::clone(hook)).collect();
                    let hook = name(call.occasion);
                    let verdict = if rest.is_empty() { verdict } else { ask_rest(verdict, rest, OwnedCall::new(call)) };
                    return Ok(Some(Work::Hook { ticket, hook, verdict }));
                }
            }
        }
        Ok(None)
    }
}

/// Asks the hooks after one that was pending, each when those before it have allowed.
fn ask_rest(first: LocalFuture<Result>, rest: Vec<Rc<dyn Hook>>, call: OwnedCall) -> LocalFuture<Result> {
    Box::pin(async move {
        first.await?;
        for hook in rest {
            let step = hook.call(&call.borrow());
            match step {
                Step::Done(verdict) => verdict?,
                Step::Later(verdict) => verdict.await?,
            }
        }
        Ok(())
    })
}

/// Calls a hook behind the fence. `None`: it panicked, which is counted and logged.
pub(crate) fn fenced<F>(call: &Call<'_>, hook: impl FnOnce() -> Step<Result, F>) -> Option<Step<Result, F>> {
    match fence(hook) {
        Ok(step) => Some(step),
        Err(panic) => {
            Counters::count(&call.local().counters.panics);
            hook_panicked(name(call.occasion), &panic);
            None
        }
    }
}

/// Tells hooks of something that is so, whatever they say to it.
pub(crate) fn tell(local: &Local, hooks: &Hooks, call: &Call<'_>) {
    let hook = name(call.occasion);
    for endpoint in hooks.iter() {
        match fenced(call, || endpoint.call(call)) {
            None | Some(Step::Done(Ok(()))) => {}
            Some(Step::Done(Err(error))) => tracing::warn!(hook, %error, "hook failed"),
            Some(Step::Later(pending)) => {
                let work: LocalFuture<()> = Box::pin(async move {
                    if let Err(error) = pending.await {
                        tracing::warn!(hook, %error, "hook failed");
                    }
                });
                if local.spawn(Work::Background { name: hook, work }).is_err() {
                    tracing::warn!(hook, "hook dropped: too many pending tasks");
                }
            }
        }
    }
}

/// What a hook is called in the log.
pub(crate) const fn name(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Handshake => "on_handshake",
        Occasion::Invoke => "on_invoke",
        Occasion::Action => "action",
        Occasion::Authenticate => "on_authenticate",
        Occasion::Connect => "on_connect",
        Occasion::Deauthenticated => "on_deauthenticated",
        Occasion::Disconnect => "on_disconnect",
        Occasion::Subscribe => "on_subscribe",
        Occasion::Publish => "on_publish",
        Occasion::PublishOut => "on_publish_out",
        Occasion::Start => "on_start",
        Occasion::Online => "on_online",
        Occasion::Offline => "on_offline",
    }
}

/// As the shard takes it.
pub(crate) fn verdict(outcome: Result) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Allow,
        Err(error) => Verdict::Refuse(error.into_refusal()),
    }
}

/// Which channels a hook is for: one by its name, all that begin with a prefix (`chat.*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// This channel.
    Exact(Box<str>),
    /// Those that begin so.
    Prefix(Box<str>),
}

impl Pattern {
    /// Every channel, and what is about none.
    pub(crate) fn all() -> Self {
        Self::Prefix(Box::default())
    }

    /// Reads a pattern. A star anywhere but at the end is a plain character of a name that no prefix reaches, so it is
    /// taken for a mistake.
    pub(crate) fn parse(pattern: &str) -> std::result::Result<Self, &'static str> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        if text.contains('*') {
            return Err("a star stands at the end, for all channels that begin so");
        }
        if pattern.is_empty() {
            return Err("an empty pattern matches no channel: use * for all");
        }
        Ok(if is_prefix { Self::Prefix(text.into()) } else { Self::Exact(text.into()) })
    }

    /// Whether it is for this channel.
    pub(crate) fn matches(&self, channel: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *channel,
            Self::Prefix(prefix) => channel.starts_with(&**prefix),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => formatter.write_str(name),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

/// A call that outlives its bytes, for the hooks and the action behind a pending hook.
pub(crate) struct OwnedCall {
    local: Rc<Local>,
    occasion: Occasion,
    peer: Option<shard::Peer>,
    claims: Option<Box<str>>,
    user: Option<Box<str>>,
    subject: Box<str>,
    data: Option<Box<str>>,
    disconnect: Option<Disconnect>,
    login_end: Option<LoginEnd>,
    request: Option<Request>,
}

impl OwnedCall {
    pub(crate) fn new(call: &Call<'_>) -> Self {
        Self {
            local: Rc::clone(call.local()),
            occasion: call.occasion,
            peer: call.peer,
            claims: call.claims.map(Into::into),
            user: call.user.map(Into::into),
            subject: call.subject.into(),
            data: call.data().map(Into::into),
            disconnect: call.disconnect.cloned(),
            login_end: call.login_end,
            request: call.request.cloned(),
        }
    }

    pub(crate) fn borrow(&self) -> Call<'_> {
        Call {
            local: &self.local,
            occasion: self.occasion,
            peer: self.peer,
            claims: self.claims.as_deref(),
            user: self.user.as_deref(),
            subject: &self.subject,
            data: self.data.as_deref().map(RawJson::from_validated),
            disconnect: self.disconnect.as_ref(),
            login_end: self.login_end,
            request: self.request.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_one_channel_or_a_prefix_or_all() {
        let matches = |pattern: &str, channel: &str| Pattern::parse(pattern).expect("it is one").matches(channel);
        assert!(matches("*", "anything") && matches("*", ""));
        assert!(matches("chat.*", "chat.lobby") && matches("chat.*", "chat."));
        assert!(!matches("chat.*", "chat") && !matches("chat.*", "xchat.lobby"));
        assert!(matches("news", "news") && !matches("news", "newsroom"));
        assert!(matches("__proto__", "__proto__") && !matches("toString", "constructor"));
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused() {
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("*.private").is_err());
        assert!(Pattern::parse("a*b*").is_err());
    }
}
