#![allow(unsafe_code)] // prctl(2) and the allocator's collection have no safe wrapper in the libraries at hand
//! How the process's memory is backed. It never allocates.

/// Turns transparent huge pages off for this process. The allocator asks for them, and then every 2 MiB of which a shard
/// touches a little are resident: 46 MB instead of 14 with 19,000 idle connections. What they may save in address
/// translation was not measured by itself. A kernel without the call has nothing to turn off.
pub(crate) fn refuse_huge_pages() {
    let (on, unused) = (1 as libc::c_ulong, 0 as libc::c_ulong);
    // SAFETY: plain numbers; it changes how pages are mapped from now on, not what is in them.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) };
}

/// Has the allocator give back what this thread has freed. By itself it does so when the thread goes on freeing, and after
/// a crowd has gone a shard has no reason to: 120 MB stayed resident of which 12 were in use. A program with another allocator
/// than ours has nothing here to give back.
pub(super) fn give_back() {
    // SAFETY: it takes no memory of ours, and any thread may call it whenever it is not inside the allocator.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_off_afterwards() {
        refuse_huge_pages();
        let unused = 0 as libc::c_ulong;
        // SAFETY: it only asks.
        let is_off = unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, unused, unused, unused, unused) };
        assert_eq!(is_off, 1);
    }
}
