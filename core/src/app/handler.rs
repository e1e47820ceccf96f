//! What can be an action or a hook: a function or closure, async or not, whose arguments are extractors. The way from a
//! call to the function's future is generic to the end, so that the compiler sees through all of it.

use std::future::Pending;

use super::call::{Call, FromCall, Site};
use super::error::Result;
use super::reply::IntoReply;

/// A function of none to six extractors. `Marker` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an action or a hook",
    note = "it is a function, async or not, of up to six extractors, which returns a reply; its future is `'static`"
)]
pub trait Handler<Marker>: 'static {
    /// What it returns in the end.
    type Output: 'static;
    /// What it returns that in, when it is async.
    type Future: Future<Output = Self::Output> + 'static;

    /// Extracts the arguments and calls the function.
    ///
    /// # Errors
    /// An extractor's.
    #[doc(hidden)]
    fn start(&self, call: &Call<'_>) -> Result<Step<Self::Output, Self::Future>>;

    /// Whether all its extractors can work there.
    #[doc(hidden)]
    fn check(site: &Site<'_>) -> std::result::Result<(), String>;
}

/// How far a call went.
#[doc(hidden)]
#[derive(Debug)]
pub enum Step<T, F> {
    /// It is over.
    Done(T),
    /// It is a future, not yet polled.
    Later(F),
}

/// Marks plain functions.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plain;

/// Marks async functions.
#[doc(hidden)]
#[derive(Debug)]
pub struct Async;

macro_rules! handlers {
    ($($argument:ident),*) => {
        impl<F, R, Via, $($argument),*> Handler<(Plain, Via, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + 'static,
            R: IntoReply<Via> + 'static,
            $($argument: FromCall,)*
        {
            type Output = R;
            type Future = Pending<R>;

            #[allow(non_snake_case, unused_variables, reason = "one macro for none to six arguments")]
            fn start(&self, call: &Call<'_>) -> Result<Step<R, Pending<R>>> {
                $(let $argument = $argument::from_call(call)?;)*
                Ok(Step::Done(self($($argument),*)))
            }

            #[allow(unused_variables, reason = "one macro for none to six arguments")]
            fn check(site: &Site<'_>) -> std::result::Result<(), String> {
                $($argument::check(site)?;)*
                Ok(())
            }
        }

        impl<F, Fut, $($argument),*> Handler<(Async, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + 'static,
            Fut: Future<Output: 'static> + 'static,
            $($argument: FromCall,)*
        {
            type Output = Fut::Output;
            type Future = Fut;

            #[allow(non_snake_case, unused_variables, reason = "one macro for none to six arguments")]
            fn start(&self, call: &Call<'_>) -> Result<Step<Fut::Output, Fut>> {
                $(let $argument = $argument::from_call(call)?;)*
                Ok(Step::Later(self($($argument),*)))
            }

            #[allow(unused_variables, reason = "one macro for none to six arguments")]
            fn check(site: &Site<'_>) -> std::result::Result<(), String> {
                $($argument::check(site)?;)*
                Ok(())
            }
        }
    };
}

handlers!();
handlers!(A1);
handlers!(A1, A2);
handlers!(A1, A2, A3);
handlers!(A1, A2, A3, A4);
handlers!(A1, A2, A3, A4, A5);
handlers!(A1, A2, A3, A4, A5, A6);
