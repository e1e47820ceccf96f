//! The server as its operator meets it: flags, exit codes, the first line, the pages, the logs, the signals. Everything
//! here runs the real binary and looks at nothing but what it shows.

mod doctor;
mod flags;
mod logs;
mod pages;
mod refusals;
mod spin;
mod start;
mod stop;
