//! Structures as the bytes that the kernel or init reads and writes.

/// The bytes of a structure without padding.
pub fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: any initialised value can be read as bytes; callers pass `repr(C)` structures without padding.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}
