//! Plain HTTP as its clients see it: curl against the real server on two shards.

mod admin;
mod api;
mod curl;
mod doors;
mod events;
mod files;
mod polling;
