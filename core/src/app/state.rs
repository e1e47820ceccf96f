//! What an application keeps on a shard: one value of each type, made by the app factory on the shard's own thread. It
//! is never shared between shards, so it needs no lock: `Cell` and `RefCell` are enough to change it.

use std::any::{Any, TypeId, type_name};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use super::call::{Call, FromCall, Site};
use super::error::{Error, Result};

/// Extracts what [`App::state`](super::App::state) was given on this shard.
#[derive(Debug)]
pub struct State<T: ?Sized>(Rc<T>);

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: 'static> FromCall for State<T> {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        call.local().states.find().map(Self).ok_or_else(|| Error::internal(missing::<T>()))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        if site.states().find::<T>().is_some() { Ok(()) } else { Err(missing::<T>()) }
    }
}

fn missing<T>() -> String {
    format!("takes State<{0}>, and the application has no {0}: add .state(…) to it", type_name::<T>())
}

/// The values, by type.
#[derive(Debug, Default)]
pub(crate) struct States {
    values: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
}

impl States {
    /// Adds a value; false when there is one of its type.
    pub(crate) fn insert<T: 'static>(&self, value: T) -> bool {
        self.values.borrow_mut().insert(TypeId::of::<T>(), Rc::new(value)).is_none()
    }

    /// The value of that type.
    pub(crate) fn find<T: 'static>(&self) -> Option<Rc<T>> {
        let value = self.values.borrow().get(&TypeId::of::<T>()).cloned()?;
        value.downcast().ok()
    }

    /// Lets go of all values: they may hold peers, which hold the shard's things, which hold them.
    pub(crate) fn clear(&self) {
        let values = self.values.take();
        drop(values);
    }
}
