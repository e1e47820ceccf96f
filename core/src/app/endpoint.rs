//! Actions and hooks once their types are forgotten. A future is polled once where it lies; one that is ready then was
//! never a task, and the box it lay in is used by the next call, so that such a call allocates nothing of ours.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shard::Reply;

use super::call::{Call, Site};
use super::error::Result;
use super::handler::{Handler, Step};
use super::login::{IntoLogin, Login};
use super::reply::{Answer, IntoReply, IntoVerdict};
use super::tasks::LocalFuture;

/// An action of any type.
pub(crate) trait Action {
    /// Calls it: the reply is filled in, or comes with the future.
    fn call(&self, call: &Call<'_>, reply: &mut Reply) -> Option<LocalFuture<Reply>>;

    /// Whether its extractors can work.
    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String>;
}

/// A login module of any type.
pub(crate) trait Module {
    /// Calls it: what it says, or the future that will.
    fn call(&self, call: &Call<'_>) -> Step<Result<Login>, LocalFuture<Result<Login>>>;

    /// Whether its extractors can work.
    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String>;
}

/// A hook of any type.
pub(crate) trait Hook {
    /// Calls it: the verdict, or the future that has it.
    fn call(&self, call: &Call<'_>) -> Step<Result, LocalFuture<Result>>;

    /// Whether its extractors can work.
    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String>;
}

/// A handler and the boxes of its futures. `Via` is how its output becomes a reply; hooks have none.
pub(crate) struct Endpoint<H: Handler<Marker>, Marker, Via> {
    handler: H,
    pool: Rc<Pool<H::Future>>,
    types: PhantomData<fn(Marker, Via)>,
}

impl<H: Handler<Marker>, Marker, Via> Endpoint<H, Marker, Via> {
    /// An endpoint with an empty pool.
    pub(crate) fn new(handler: H) -> Self {
        Self { handler, pool: Rc::default(), types: PhantomData }
    }

    /// Calls the handler and polls its future once. The waker does nothing: what is pending becomes a task, which is
    /// polled again with its own.
    fn start(&self, call: &Call<'_>) -> Result<Step<H::Output, Suspended<H::Future>>> {
        let future = match self.handler.start(call)? {
            Step::Done(output) => return Ok(Step::Done(output)),
            Step::Later(future) => future,
        };
        let mut suspended = Suspended { boxed: Some(self.pool.take(future)), pool: Rc::clone(&self.pool) };
        match Pin::new(&mut suspended).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Ok(Step::Done(output)),
            Poll::Pending => Ok(Step::Later(suspended)),
        }
    }
}

impl<H, Marker, Via> Action for Endpoint<H, Marker, Via>
where
    H: Handler<Marker>,
    H::Output: IntoReply<Via>,
    Via: 'static,
{
    fn call(&self, call: &Call<'_>, reply: &mut Reply) -> Option<LocalFuture<Reply>> {
        match self.start(call) {
            Ok(Step::Done(output)) => output.into_reply(&mut Answer::new(reply)),
            Ok(Step::Later(suspended)) => {
                return Some(Box::pin(async move {
                    let mut reply = Reply::default();
                    suspended.await.into_reply(&mut Answer::new(&mut reply));
                    reply
                }));
            }
            Err(error) => Answer::new(reply).set_error(&error),
        }
        None
    }

    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String> {
        H::check(site)
    }
}

impl<H, Marker> Hook for Endpoint<H, Marker, ()>
where
    H: Handler<Marker>,
    H::Output: IntoVerdict,
{
    fn call(&self, call: &Call<'_>) -> Step<Result, LocalFuture<Result>> {
        match self.start(call) {
            Ok(Step::Done(output)) => Step::Done(output.into_verdict()),
            Ok(Step::Later(suspended)) => Step::Later(Box::pin(async move { suspended.await.into_verdict() })),
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String> {
        H::check(site)
    }
}

impl<H, Marker> Module for Endpoint<H, Marker, Login>
where
    H: Handler<Marker>,
    H::Output: IntoLogin,
{
    fn call(&self, call: &Call<'_>) -> Step<Result<Login>, LocalFuture<Result<Login>>> {
        match self.start(call) {
            Ok(Step::Done(output)) => Step::Done(output.into_login()),
            Ok(Step::Later(suspended)) => Step::Later(Box::pin(async move { suspended.await.into_login() })),
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String> {
        H::check(site)
    }
}

/// A future in a box of its endpoint's pool, where the box goes back to.
struct Suspended<F> {
    boxed: Option<Pin<Box<Option<F>>>>,
    pool: Rc<Pool<F>>,
}

impl<F: Future> Future for Suspended<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let boxed = self.boxed.as_mut().expect("the box is there until the drop");
        boxed.as_mut().as_pin_mut().expect("a future is not polled again after it was ready").poll(task)
    }
}

impl<F> Drop for Suspended<F> {
    fn drop(&mut self) {
        if let Some(mut boxed) = self.boxed.take() {
            boxed.set(None);
            self.pool.put(boxed);
        }
    }
}

/// Empty boxes for one endpoint's futures.
struct Pool<F> {
    boxes: RefCell<Vec<Pin<Box<Option<F>>>>>,
}

impl<F> Default for Pool<F> {
    fn default() -> Self {
        Self { boxes: RefCell::default() }
    }
}

impl<F> Pool<F> {
    fn take(&self, future: F) -> Pin<Box<Option<F>>> {
        let pooled = self.boxes.borrow_mut().pop();
        match pooled {
            Some(mut boxed) => {
                boxed.set(Some(future));
                boxed
            }
            None => Box::pin(Some(future)),
        }
    }

    fn put(&self, boxed: Pin<Box<Option<F>>>) {
        let mut boxes = self.boxes.borrow_mut();
        if boxes.len() < BOXES_MAX {
            boxes.push(boxed);
        }
    }
}

/// Boxes kept for each endpoint. One is enough for what is ready at once; some more serve calls that overlap.
const BOXES_MAX: usize = 16;
