//! What /proc tells about processes: CPU time by thread, memory, and the kernel's slab. Read-only; what cannot be read
//! is `None`, never a guess.

mod cpu;
mod memory;

pub(crate) use cpu::{CpuTime, Usage};
pub(crate) use memory::{Memory, forget_peak, meminfo, peak};
