//! Nothing: the manifest beside this file only names the crate whose C++ sources the `peers` binary compiles.
