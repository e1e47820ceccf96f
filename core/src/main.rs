//! The `socketshard` binary: the server with its demo application. It holds nothing but the choice of an allocator.

use std::process::ExitCode;

/// Shards allocate on their own threads and free what other shards allocated (batches of the mesh): mimalloc keeps a
/// heap per thread and takes such frees without a lock, where the system's allocator contends on arenas.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    socketshard::cli::run()
}
