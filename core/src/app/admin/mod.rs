//! What operators and backends ask for, on listeners of their own: counters, health, and the server API. The API is an
//! application like any other, made of the public parts; only who may call it is judged differently.

mod access;
mod counters;
mod desk;
mod service;

pub(crate) use access::{AdminAccess, AdminKeyError};
pub(super) use desk::Desk;
