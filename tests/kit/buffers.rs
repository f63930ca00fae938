//! The buffer pool.

use ironsys::resource::BufferPool;

fn pool(keep: usize) -> BufferPool {
    BufferPool::builder().keep(keep).size(16).max_size(64).build().unwrap()
}

#[test]
fn a_buffer_comes_back_empty_with_its_room() {
    let pool = pool(2);
    let mut buffer = pool.take();
    buffer.extend_from_slice(&[7; 40]);
    let room = buffer.capacity();
    drop(buffer);
    let again = pool.take();
    assert_eq!((again.len(), again.capacity()), (0, room));
    assert_eq!((pool.stats().reused, pool.stats().ledger.accepted), (1, 1));
}

#[test]
fn one_that_has_grown_too_large_is_not_kept() {
    let pool = pool(2);
    let mut buffer = pool.take();
    buffer.resize(65, 0);
    drop(buffer);
    let stats = pool.stats();
    assert_eq!((stats.kept, stats.kept_bytes, stats.oversized), (0, 0, 1));
    assert!(pool.take().capacity() < 65);
    assert!(stats.ledger.is_balanced());
}

#[test]
fn taking_never_waits_and_keeping_is_bounded() {
    let pool = pool(3);
    let many: Vec<_> = (0..10).map(|_| pool.take()).collect();
    assert_eq!(pool.stats().taken, 10);
    drop(many);
    let stats = pool.stats();
    assert_eq!((stats.kept, stats.surplus, stats.taken), (3, 7, 0));
    assert!(stats.kept_bytes <= 3 * 64 && stats.ledger.is_balanced());
    let none = self::pool(0);
    drop(none.take());
    assert_eq!(none.stats().kept, 0);
}

#[test]
fn guards_outlive_the_pool_and_detached_ones_do_not_come_back() {
    let pool = pool(2);
    let (held, mut gone) = (pool.take(), pool.take());
    gone.push(1);
    assert_eq!(gone.detach(), [1]);
    assert_eq!((pool.stats().kept, pool.stats().ledger.done), (0, 1));
    drop(pool);
    drop(held);
}

#[test]
fn memory_stays_flat_over_many_threads() {
    let pool = pool(2);
    std::thread::scope(|s| {
        for me in 0..4 {
            let pool = pool.clone();
            s.spawn(move || {
                for i in 0..1000 {
                    let mut buffer = pool.take();
                    assert!(buffer.is_empty());
                    buffer.resize((me * 37 + i) % 80, 1);
                }
            });
        }
    });
    let stats = pool.stats();
    assert!(stats.kept <= 2 && stats.kept_bytes <= 2 * 64, "{stats:?}");
    assert!(stats.ledger.is_balanced() && stats.taken == 0);
    assert_eq!(stats.ledger.accepted + stats.reused, 4000);
}

#[test]
fn builders_say_which_field_is_wrong() {
    let field = |b: ironsys::resource::BufferPoolBuilder| b.build().unwrap_err().field();
    assert_eq!(field(BufferPool::builder().size(65).max_size(64)), "size");
    assert_eq!(field(BufferPool::builder().size(usize::MAX).max_size(usize::MAX)), "size");
    let any = BufferPool::builder().size(0).max_size(usize::MAX).keep(usize::MAX).build().unwrap();
    assert_eq!(any.take().capacity(), 0);
}
