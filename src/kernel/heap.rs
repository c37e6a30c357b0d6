//! The heap, where the C library's own makes threads wait for each other (musl): one for each of the first threads, of which each has
//! its own, unless what one has allocated is freed by another.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use dlmalloc::Dlmalloc;

/// How many heaps there are. What begins as a further thread shares one.
const PARTS: usize = 8;

/// How often a heap is looked at before whoever is busy with it is let go on, perhaps on this processor.
const LOOKS: u32 = 100;

/// By how many bytes a heap grows at least. What is not used of them takes no memory.
const GROWTH: usize = 1 << 20;

thread_local! {
    /// Which heap this thread has, counted from 1.
    static OWN: Cell<u8> = const { Cell::new(0) };
}

/// Memory for everything.
pub struct Heap {
    parts: [Part; PARTS],
    /// How many threads have a heap.
    threads: AtomicU8,
}

/// A heap that one at a time may use.
struct Part {
    is_busy: AtomicBool,
    heap: UnsafeCell<Dlmalloc>,
}

// SAFETY: whoever uses the heap has made it busy.
unsafe impl Sync for Part {}

impl Heap {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Heap {
        Heap {
            parts: [const { Part::new() }; PARTS],
            threads: AtomicU8::new(0),
        }
    }

    /// The number of this thread's heap.
    fn own(&self) -> usize {
        let own = OWN.get();
        if own > 0 {
            return usize::from(own) - 1;
        }
        let next = usize::from(self.threads.fetch_add(1, Ordering::Relaxed)) % PARTS;
        OWN.set(next as u8 + 1);
        next
    }

    /// Allocates from this thread's heap, and notes before what is allocated which one that is.
    fn allocate(&self, layout: Layout, allocate: impl FnOnce(&mut Dlmalloc, usize, usize) -> *mut u8) -> *mut u8 {
        let (own, before) = (self.own(), before(layout));
        let Some(size) = layout.size().checked_add(before) else {
            return ptr::null_mut();
        };
        let start = self.parts[own].with(|heap| allocate(heap, size, layout.align()));
        // SAFETY: there is room for it, unless there is none at all.
        unsafe { noted(start, own, before) }
    }
}

/// How much room there is before what is allocated, for the number of its heap. It must not change how that is aligned.
fn before(layout: Layout) -> usize {
    layout.align().max(size_of::<usize>())
}

/// Notes a heap's number before what follows `before` bytes from here.
///
/// # Safety
/// They can be written to, unless they begin at null.
unsafe fn noted(start: *mut u8, number: usize, before: usize) -> *mut u8 {
    if start.is_null() {
        return start;
    }
    // SAFETY: as the caller says.
    unsafe {
        let allocated = start.add(before);
        allocated.sub(1).write(number as u8);
        allocated
    }
}

impl Part {
    const fn new() -> Part {
        let mut heap = Dlmalloc::new();
        assert!(heap.set_granularity(GROWTH));
        Part {
            is_busy: AtomicBool::new(false),
            heap: UnsafeCell::new(heap),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        let mut looks = 0;
        while self.is_busy.swap(true, Ordering::Acquire) {
            looks += 1;
            match looks % LOOKS {
                0 => std::thread::yield_now(),
                _ => hint::spin_loop(),
            }
        }
        // SAFETY: it was not busy, and others wait until it is not.
        let done = act(unsafe { &mut *self.heap.get() });
        self.is_busy.store(false, Ordering::Release);
        done
    }
}

// SAFETY: what is allocated is from a heap, behind a note of which, and goes back to that one.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and any alignment can be asked for.
        self.allocate(layout, |heap, size, align| unsafe { heap.malloc(size, align) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the same.
        self.allocate(layout, |heap, size, align| unsafe { heap.calloc(size, align) })
    }

    unsafe fn dealloc(&self, allocated: *mut u8, layout: Layout) {
        let before = before(layout);
        // SAFETY: it was allocated like this.
        unsafe {
            let number = usize::from(allocated.sub(1).read());
            let (start, size) = (allocated.sub(before), layout.size() + before);
            self.parts[number].with(|heap| heap.free(start, size, layout.align()));
        }
    }

    unsafe fn realloc(&self, allocated: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let before = before(layout);
        let Some(new) = size.checked_add(before) else {
            return ptr::null_mut();
        };
        // SAFETY: it was allocated like this, and the note is where it was, or moved with what it is about.
        unsafe {
            let number = usize::from(allocated.sub(1).read());
            let (start, old) = (allocated.sub(before), layout.size() + before);
            let moved = self.parts[number].with(|heap| heap.realloc(start, old, layout.align(), new));
            noted(moved, number, before)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    static HEAP: Heap = Heap::new();

    /// Something that was allocated, whose bytes say which it is.
    struct Piece {
        start: *mut u8,
        layout: Layout,
    }

    // SAFETY: whoever has it is the only one.
    unsafe impl Send for Piece {}

    impl Piece {
        fn new(size: usize, align: usize) -> Piece {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: it is freed when it is dropped, by the layout that it has then.
            let start = unsafe { HEAP.alloc(layout) };
            let mut piece = Piece { start, layout };
            assert!(!start.is_null() && start.addr().is_multiple_of(align), "{layout:?}");
            piece.bytes().fill(size as u8);
            piece
        }

        fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: there are so many, and nobody else's.
            unsafe { slice::from_raw_parts_mut(self.start, self.layout.size()) }
        }

        /// Makes it larger or smaller, and looks whether what was there still is.
        fn resize(&mut self, size: usize) {
            let (old, align) = (self.layout.size(), self.layout.align());
            // SAFETY: as above.
            self.start = unsafe { HEAP.realloc(self.start, self.layout, size) };
            self.layout = Layout::from_size_align(size, align).unwrap();
            assert!(self.start.addr().is_multiple_of(align));
            assert!(self.bytes()[..old.min(size)].iter().all(|byte| *byte == old as u8));
            self.bytes().fill(size as u8);
        }
    }

    impl Drop for Piece {
        fn drop(&mut self) {
            let size = self.layout.size() as u8;
            assert!(self.bytes().iter().all(|byte| *byte == size));
            // SAFETY: as above.
            unsafe { HEAP.dealloc(self.start, self.layout) };
        }
    }

    #[test]
    fn pieces_of_all_sizes_and_alignments_stay_apart_while_others_come_and_go() {
        let mut pieces: Vec<Piece> = Vec::new();
        for round in 1..2000 {
            let (size, align) = (round * 37 % 5000 + 1, 1 << (round % 13));
            pieces.push(Piece::new(size, align));
            if round % 3 == 0 {
                drop(pieces.swap_remove(round * 7 % pieces.len()));
            }
            let some = round * 11 % pieces.len();
            pieces[some].resize(round * 53 % 9000 + 1);
        }
    }

    #[test]
    fn what_is_asked_for_as_zeros_is_zeros_also_where_something_was() {
        for size in [1, 100, 5000, 300_000] {
            drop(Piece::new(size, 8));
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: it is freed below, by its layout.
            let mut zeros = Piece {
                start: unsafe { HEAP.alloc_zeroed(layout) },
                layout,
            };
            assert!(zeros.bytes().iter().all(|byte| *byte == 0));
            zeros.bytes().fill(size as u8);
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        let layout = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
        // SAFETY: nothing is allocated.
        assert!(unsafe { HEAP.alloc(layout) }.is_null());
        let mut piece = Piece::new(10, 8);
        // SAFETY: if it fails, the piece is as it was.
        assert!(unsafe { HEAP.realloc(piece.start, piece.layout, layout.size()) }.is_null());
        piece.bytes();
    }

    #[test]
    fn threads_free_what_others_have_allocated() {
        let (give, take) = channel::<Piece>();
        let givers: Vec<_> = (0..2 * PARTS)
            .map(|giver| {
                let give = give.clone();
                thread::spawn(move || (0..500).for_each(|n| give.send(Piece::new(giver * n % 700 + 1, 8)).unwrap()))
            })
            .collect();
        drop(give);
        assert_eq!(take.iter().count(), givers.len() * 500);
        givers.into_iter().for_each(|giver| giver.join().unwrap());
    }
}
