//! Bad input against the real server on two shards. Whatever a client does, it harms itself alone: afterwards others
//! are served on both shards, descriptors are back, and memory has not grown beyond a stated bound.

mod calls;
mod carried;
mod churn;
mod forms;
mod frames;
mod guard;
mod names;
mod origins;
mod packets;
mod people;
mod readers;
mod requests;
mod smuggling;
