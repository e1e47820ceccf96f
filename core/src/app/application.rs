//! The application: its actions, hooks, routes and state, as its author lists them. One is made for each shard, on that
//! shard's thread, so nothing in it is ever shared. It checks what it is told at once: a name that cannot work stops the
//! start, with a message, and not a call months later.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use codec::name::NameLimits;
use shard::{Route, SlowConsumer, SocketIoConfig};

use super::AckShape;
use super::call::{Occasion, Site};
use super::endpoint::{Action, Endpoint};
use super::files::{Files, Shelves};
use super::handler::Handler;
use super::hooks::{Hooks, Pattern, name};
use super::limits::AppLimits;
use super::login::{IntoLogin, Modules};
use super::page::Page;
use super::periodic::Periodic;
use super::raw::{Message, RawRoute, RawSocket};
use super::reply::{IntoReply, IntoVerdict};
use super::state::States;

/// An application. [`Server::run`](crate::Server::run) takes a function that makes one.
///
/// ```no_run
/// use socketshard::prelude::*;
///
/// async fn square(Args(number): Args<f64>) -> f64 {
///     number * number
/// }
///
/// async fn say(channels: Channels, peer: Peer, Args(text): Args<String>) -> Result {
///     if text.is_empty() {
///         return Err(Error::invalid_arguments("say something"));
///     }
///     channels.publish("lobby", format!("{}: {text}", peer.id()))
/// }
///
/// fn main() -> ExitCode {
///     Server::from_args().run(|| {
///         App::new()
///             .action("app.square", square)
///             .action("chat.say", say)
///             .on_publish("lobby", || Err(Error::unauthorized()))
///             .websocket("/echo", |socket, message| socket.send(message))
///     })
/// }
/// ```
#[must_use]
#[derive(Default)]
pub struct App {
    pub(super) actions: HashMap<Rc<str>, Entry, foldhash::fast::RandomState>,
    /// Which actions are for those who are logged in.
    guards: Vec<Pattern>,
    modules: Modules,
    pub(super) handshake: Hooks,
    /// The modules once all are there.
    pub(super) logins: Rc<Modules>,
    pub(super) authenticate: Hooks,
    pub(super) connect: Hooks,
    pub(super) deauthenticated: Hooks,
    pub(super) disconnect: Hooks,
    pub(super) invoke: Hooks,
    pub(super) subscribe: Hooks,
    pub(super) publish: Hooks,
    pub(super) publish_out: Hooks,
    pub(super) start: Hooks,
    pub(super) server_start: Hooks,
    pub(super) online: Hooks,
    pub(super) offline: Hooks,
    pub(super) periodic: Vec<Periodic>,
    /// Channels that show who is in them.
    pub(super) presence: Vec<Pattern>,
    /// Channels whose slow consumers are treated otherwise.
    pub(super) slow_consumers: Vec<(Pattern, SlowConsumer)>,
    pub(super) raw: Vec<RawRoute>,
    /// Where protocols are spoken that have no path of their own.
    pub(super) doors: Vec<(Box<str>, Route)>,
    pub(super) pages: HashMap<Box<str>, Page, foldhash::fast::RandomState>,
    pub(super) shelves: Shelves,
    pub(super) states: States,
    pub(super) socket_io: SocketIoConfig,
    pub(crate) limits: AppLimits,
}

impl App {
    /// An application that can do nothing yet: clients may connect, subscribe and publish.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an action: clients call it by this name. Dots make groups for people (`chat.say`); a name is one string to
    /// the server, and `toString` or `__proto__` are names like all others.
    ///
    /// # Panics
    /// When the name is taken, empty, longer than 255 bytes, has a control character or an empty part between dots, or
    /// begins with `#`, which is the protocol's.
    pub fn action<Marker, Via, H>(mut self, name: &str, handler: H) -> Self
    where
        Marker: 'static,
        Via: 'static,
        H: Handler<Marker>,
        H::Output: IntoReply<Via>,
    {
        if let Err(reason) = check_action(name) {
            panic!("action {name:?}: {reason}");
        }
        let entry = Entry::new(Box::new(Endpoint::<H, Marker, Via>::new(handler)));
        let previous = self.actions.insert(name.into(), entry);
        assert!(previous.is_none(), "action {name:?} is there twice");
        self
    }

    /// Keeps the actions that match for callers who are logged in: one by its name, `admin.*` for all that begin so,
    /// `*` for all. Others get an `UnauthenticatedError`, and the action is not run.
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn require_login(mut self, pattern: &str) -> Self {
        let guard = Pattern::parse(pattern).unwrap_or_else(|reason| panic!("action pattern {pattern:?}: {reason}"));
        self.guards.push(guard);
        self
    }

    /// Adds a way to log in, by a name. Clients call the action `auth.login` with `{"module":…,"params":…}`; the module
    /// gets `params` as its argument and says in a [`Login`](super::Login) whether that was enough. When it was, the
    /// caller has a token with the claims `user_id` and `module` before it has the answer, which is
    /// `{"success":…,"user_id":…,"info":…}` either way. `auth.logout` takes the token away.
    ///
    /// # Panics
    /// When the name is empty or taken.
    pub fn authentication<Marker: 'static, H>(mut self, name: &str, module: H) -> Self
    where
        H: Handler<Marker, Output: IntoLogin>,
    {
        self.modules.add(name, module);
        self
    }

    /// Adds a value that actions and hooks extract as [`State`](super::State). Each shard has its own.
    ///
    /// # Panics
    /// When there is one of this type already.
    pub fn state<T: 'static>(self, value: T) -> Self {
        assert!(self.states.insert(value), "state of type {} is there twice", std::any::type_name::<T>());
        self
    }

    /// Asks this hook about every request for a WebSocket, before anything else is done about it; it extracts the
    /// [`Request`](super::Request), and as [`Peer`](super::Peer) where it comes from. There is no session yet and no token.
    /// An error refuses the request with its [`status`](super::Error::status), 403 where it has none, and the error object
    /// as the body.
    ///
    /// ```
    /// use socketshard::prelude::*;
    ///
    /// fn only_our_proxy(request: Request) -> Result {
    ///     match request.header("x-proxy-key") {
    ///         Some("sesame") => Ok(()),
    ///         _ => Err(Error::unauthorized().status(401)),
    ///     }
    /// }
    /// # App::new().on_handshake(only_our_proxy);
    /// ```
    pub fn on_handshake<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.handshake.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook before actions that match are run: one by its name, `admin.*` for all that begin so, `*` for all. It
    /// extracts what an action does, and the name that was called as [`ActionName`](super::ActionName). All hooks that match must
    /// allow; an error is the call's answer. Actions that nobody has added, and those kept for members that a stranger
    /// calls, are refused before.
    ///
    /// ```
    /// use socketshard::prelude::*;
    ///
    /// async fn audit(ActionName(name): ActionName, peer: Peer) {
    ///     println!("{} calls {name}", peer.address());
    /// }
    /// # App::new().on_invoke("admin.*", audit);
    /// ```
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn on_invoke<Marker: 'static, H>(mut self, pattern: &str, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        let pattern = Pattern::parse(pattern).unwrap_or_else(|reason| panic!("action pattern {pattern:?}: {reason}"));
        self.invoke.push(pattern, Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook about every good token that a client presents, in its handshake or later; it extracts the claims
    /// as [`Auth`](super::Auth). An error is the client's `authError`: the connection opens or stays open, and nobody is
    /// logged in on it.
    pub fn on_authenticate<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.authenticate.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook about every connection, after its handshake and before its answer. An error refuses it, with the
    /// close code that the error carries.
    pub fn on_connect<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.connect.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Tells this hook of every login that has ended while its connection goes on, once, before what the client says next:
    /// its token's time was over, it was thrown away, taken, replaced or followed by one that does not count, or the
    /// session's user has logged out. It extracts why as [`Deauthenticated`](super::Deauthenticated), the claims that
    /// count no more as [`Auth`](super::Auth), and whose the connection is no more as [`UserId`](super::UserId). A token that
    /// follows one of the same user ends nothing; a login that ends with its connection is [`App::on_disconnect`]'s. What the hook
    /// itself ends before it waits for anything is not told again.
    ///
    /// ```
    /// use socketshard::prelude::*;
    ///
    /// /// Whoever is nobody any more hears no more secrets.
    /// fn lock(channels: Channels, peer: Peer, user: Option<UserId>, end: Deauthenticated) -> Result {
    ///     if user.is_some() && end != Deauthenticated::Replaced {
    ///         return channels.kick_out(&peer, "secrets", "log in again");
    ///     }
    ///     Ok(())
    /// }
    /// # App::new().on_deauthenticated(lock);
    /// ```
    pub fn on_deauthenticated<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.deauthenticated.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Tells this hook of every connection that was let in and is gone.
    pub fn on_disconnect<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.disconnect.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook about subscriptions to the channels that match: one by its name, `chat.*` for all that begin so,
    /// `*` for all. All hooks that match must allow.
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn on_subscribe<Marker: 'static, H>(mut self, pattern: &str, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        let pattern = parse_pattern(pattern);
        self.subscribe.push(pattern, Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook about publications by clients to the channels that match, as [`App::on_subscribe`] does.
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn on_publish<Marker: 'static, H>(mut self, pattern: &str, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        let pattern = parse_pattern(pattern);
        self.publish.push(pattern, Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Asks this hook for each subscriber of the channels that match whether it may have this publication, whoever has
    /// published it; an error keeps it from this subscriber, who is told nothing. It extracts the subscriber as
    /// [`Peer`](super::Peer), [`Auth`](super::Auth) or [`Session`](super::Session), and the publication as
    /// [`Args`](super::Args).
    ///
    /// It cannot wait: a hook that is not ready at once refuses. It runs for every copy, so keep it short, and keep it to
    /// the channels that need it; others cost nothing.
    ///
    /// ```
    /// use socketshard::prelude::*;
    ///
    /// # #[derive(serde::Deserialize)]
    /// # struct User { user_id: String }
    /// # #[derive(serde::Deserialize)]
    /// # struct Line { from: String }
    /// /// Nobody hears their own words.
    /// fn not_to_oneself(auth: Option<Auth<User>>, Args(line): Args<Line>) -> Result {
    ///     match auth {
    ///         Some(Auth(user)) if user.user_id == line.from => Err(Error::unauthorized()),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # App::new().on_publish_out("chat.*", not_to_oneself);
    /// ```
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn on_publish_out<Marker: 'static, H>(mut self, pattern: &str, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        let pattern = parse_pattern(pattern);
        self.publish_out.push(pattern, Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Runs this on every shard when it starts: where background work begins. An error or a panic is logged.
    pub fn on_start<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.start.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Runs this once for the whole server, on one of its shards, when it starts.
    pub fn on_server_start<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.server_start.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Runs this once in every period for the whole server, on one of its shards, the first time after one period. A run
    /// that takes longer than a period delays the next one, and of those that it misses the last is made up for; an error or a panic is logged and ends that run alone.
    ///
    /// # Panics
    /// When the period is shorter than a millisecond.
    pub fn every<Marker: 'static, H>(mut self, period: Duration, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        assert!(period >= Duration::from_millis(1), "a period of {period:?} is none that a shard can keep");
        self.periodic.push(Periodic { period, hook: Rc::new(Endpoint::<H, Marker, ()>::new(hook)) });
        self
    }

    /// Tells this hook of every user who comes online, on one shard of the server: the first connection of theirs has come
    /// that is logged in. It extracts whom as [`UserId`](super::UserId).
    pub fn on_online<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.online.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Tells this hook of every user who is offline now, on the shard that was told they came: the last connection of
    /// theirs is gone, logged out or silent.
    pub fn on_offline<Marker: 'static, H>(mut self, hook: H) -> Self
    where
        H: Handler<Marker, Output: IntoVerdict>,
    {
        self.offline.push(Pattern::all(), Rc::new(Endpoint::<H, Marker, ()>::new(hook)));
        self
    }

    /// Lets the channels that match show which users are in them: their subscribers are sent the event `presence` with
    /// `{"channel":…,"event":"join"|"leave","user":…}` when a user's first connection comes and when the last is gone, and
    /// [`Channels::members`](super::Channels::members) lists them. Who is nobody is not shown.
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn presence(mut self, pattern: &str) -> Self {
        self.presence.push(parse_pattern(pattern));
        self
    }

    /// Says what happens to publications of the channels that match for subscribers that do not keep up. The first that
    /// matches counts; where the operator has said something of a channel (`--slow-consumer`), that counts.
    ///
    /// # Panics
    /// When the pattern cannot be meant.
    pub fn slow_consumer(mut self, pattern: &str, policy: SlowConsumer) -> Self {
        self.slow_consumers.push((parse_pattern(pattern), policy));
        self
    }

    /// Adds a raw WebSocket route: its messages go to the handler as they are.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn websocket<R: IntoVerdict>(
        mut self,
        path: &str,
        handler: impl Fn(&mut RawSocket<'_, '_>, Message<'_>) -> R + 'static,
    ) -> Self {
        self.add_route(RawRoute::new(path, false, handler));
        self
    }

    /// Adds a route for clients of bare Engine.IO, protocols 3 and 4: its messages go to the handler as those of a raw
    /// WebSocket do. Their libraries ask for paths that end with `/`, `/engine.io/` where they are not told another.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn engine_io<R: IntoVerdict>(
        mut self,
        path: &str,
        handler: impl Fn(&mut RawSocket<'_, '_>, Message<'_>) -> R + 'static,
    ) -> Self {
        self.add_route(RawRoute::new(path, true, handler));
        self
    }

    /// Lets SocketStream's clients in at this path, versions 0.3 to 0.5, which come by Engine.IO. Theirs is `/engine.io/`
    /// where they are not told another. They call the same actions, and are told publications and events as events.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn socket_stream(mut self, path: &str) -> Self {
        self.add_door(path, Route::SocketStream);
        self
    }

    /// Lets clients of SocketStream 0.4's realtime services in at this path, by WebSocket or by Engine.IO. By WebSocket
    /// they ask for `/`, where a page may stand as well.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn realtime_services(mut self, path: &str) -> Self {
        self.add_door(path, Route::Services);
        self
    }

    /// Adds a namespace for clients of Socket.IO, beside `/`. It is a name for an own place of its events: the same
    /// actions are called there, and what a client subscribes to there is told there.
    ///
    /// # Panics
    /// When the name does not begin with `/`, has a comma or a question mark, or there are 31 already.
    pub fn namespace(mut self, name: &str) -> Self {
        let is_clean = name.len() > 1 && name.starts_with('/') && !name.contains([',', '?']);
        assert!(is_clean, "namespace {name:?} does not begin with / or has what none can have");
        let namespaces = &mut self.socket_io.namespaces;
        assert!(namespaces.iter().all(|known| **known != *name), "namespace {name:?} is there twice");
        assert!(namespaces.len() < SocketIoConfig::NAMESPACES_MAX, "there are too many namespaces for {name:?}");
        namespaces.push(name.into());
        self
    }

    /// What Socket.IO's acknowledgements are like: [`AckShape::Single`] unless this says otherwise.
    pub const fn ack_shape(mut self, shape: AckShape) -> Self {
        self.socket_io.answer_shape = shape;
        self
    }

    /// Lets Socket.IO's clients join, leave and publish to channels by the events `subscribe`, `unsubscribe` and
    /// `publish`, and SocketStream's by calls of these methods, which are then no actions of the application. Its hooks are asked as for clients of SocketCluster,
    /// which can do so without being let.
    pub const fn channel_events(mut self, are_on: bool) -> Self {
        self.socket_io.has_channel_events = are_on;
        self
    }

    /// Serves these bytes at this path.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn page(self, path: &str, content_type: &str, body: impl Into<bytes::Bytes>) -> Self {
        self.serve(path, Page::new(content_type, body))
    }

    /// Serves a page with headers of its own at this path.
    ///
    /// # Panics
    /// When the path does not begin with `/` or is taken.
    pub fn serve(mut self, path: &str, page: Page) -> Self {
        self.check_path(path);
        assert!(self.pages.insert(path.into(), page).is_none(), "page {path:?} is there twice");
        self
    }

    /// Serves the files of a directory below this path, `/` for all. Pages and routes of the application come first. Open
    /// the directory before [`run`](crate::Server::run) and clone it into each shard's application: they share the bytes.
    ///
    /// # Panics
    /// When the path does not begin with `/`.
    pub fn files(mut self, prefix: &str, files: Files) -> Self {
        self.check_path(prefix);
        self.shelves.mount(prefix.trim_end_matches('/'), files);
        self
    }

    /// Sets the bounds of what the application may have under way on one shard.
    pub const fn limits(mut self, limits: AppLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the actions what they are called by: those of the login modules are added, guards are set.
    pub(super) fn complete(&mut self) -> Result<(), String> {
        self.logins = Rc::new(std::mem::take(&mut self.modules));
        for (name, action) in Modules::actions(&self.logins) {
            if self.actions.insert(name.into(), Entry::new(action)).is_some() {
                return Err(format!("action {name:?} is there twice: it belongs to the authentication modules"));
            }
        }
        for guard in &self.guards {
            let mut guarded = self.actions.iter_mut().filter(|(name, _)| guard.matches(name)).peekable();
            if guarded.peek().is_none() {
                return Err(format!("require_login({guard:?}) guards no action"));
            }
            guarded.for_each(|(_, entry)| entry.requires_login = true);
        }
        Ok(())
    }

    /// Whether every extractor of every action and hook can work.
    pub(super) fn check(&self) -> Result<(), String> {
        let site = |occasion| Site { occasion, states: &self.states };
        for (action, entry) in &self.actions {
            entry.action.check(&site(Occasion::Action)).map_err(|reason| format!("action {action:?} {reason}"))?;
        }
        let hooks = [
            (Occasion::Handshake, &self.handshake),
            (Occasion::Invoke, &self.invoke),
            (Occasion::Authenticate, &self.authenticate),
            (Occasion::Connect, &self.connect),
            (Occasion::Deauthenticated, &self.deauthenticated),
            (Occasion::Disconnect, &self.disconnect),
            (Occasion::Subscribe, &self.subscribe),
            (Occasion::Publish, &self.publish),
            (Occasion::PublishOut, &self.publish_out),
            (Occasion::Start, &self.start),
            (Occasion::Start, &self.server_start),
            (Occasion::Online, &self.online),
            (Occasion::Offline, &self.offline),
        ];
        for (occasion, hooks) in hooks {
            for hook in hooks.iter() {
                hook.check(&site(occasion)).map_err(|reason| format!("the {} hook {reason}", name(occasion)))?;
            }
        }
        for Periodic { hook, .. } in &self.periodic {
            hook.check(&site(Occasion::Start)).map_err(|reason| format!("the periodic work {reason}"))?;
        }
        Ok(())
    }

    fn add_route(&mut self, route: RawRoute) {
        self.check_route(&route.path);
        self.raw.push(route);
    }

    fn add_door(&mut self, path: &str, route: Route) {
        self.check_route(path);
        self.doors.push((path.into(), route));
    }

    fn check_route(&self, path: &str) {
        self.check_path(path);
        assert!(!["/socketcluster/", "/socket.io/"].contains(&path), "path {path:?} is a protocol's own");
        let is_new =
            self.raw.iter().all(|known| *known.path != *path) && self.doors.iter().all(|(known, _)| **known != *path);
        assert!(is_new, "route {path:?} is there twice");
    }

    /// Whether the application itself has something at this path.
    pub(super) fn has_path(&self, path: &str) -> bool {
        self.pages.contains_key(path) || self.raw.iter().any(|route| *route.path == *path)
    }

    /// The operator's word on Socket.IO.
    pub(crate) fn overrule(&mut self, shape: Option<AckShape>, has_channel_events: Option<bool>) {
        self.socket_io.answer_shape = shape.unwrap_or(self.socket_io.answer_shape);
        self.socket_io.has_channel_events = has_channel_events.unwrap_or(self.socket_io.has_channel_events);
    }

    fn check_path(&self, path: &str) {
        let is_clean =
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        assert!(is_clean, "path {path:?} does not begin with / or has what no request path has");
    }
}

/// An action, and who may call it.
pub(super) struct Entry {
    pub(super) action: Rc<dyn Action>,
    pub(super) requires_login: bool,
}

impl Entry {
    fn new(action: Box<dyn Action>) -> Self {
        Self { action: action.into(), requires_login: false }
    }
}

/// What an action may be called, beyond what the protocol allows.
fn check_action(name: &str) -> Result<(), String> {
    NameLimits::default().check_action(name).map_err(|error| error.to_string())?;
    if name.starts_with('#') {
        return Err("names that begin with # are the protocol's own".to_owned());
    }
    if name.split('.').any(str::is_empty) {
        return Err("name has an empty part between dots".to_owned());
    }
    Ok(())
}

fn parse_pattern(pattern: &str) -> Pattern {
    Pattern::parse(pattern).unwrap_or_else(|reason| panic!("channel pattern {pattern:?}: {reason}"))
}
