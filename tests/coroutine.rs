//! Coroutines, one behaviour a test: what goes in and out, the four states, bodies that block,
//! panics, drops, several yields at once, and `resume_async` under hand-written executors.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use luvio::coroutine::{Coroutine, ResumeError, Resumed, Status, Yielder};

use ResumeError::{Blocked, Dead, NotSuspended};
use Resumed::{Returned, Yielded};

// ---- values in and out --------------------------------------------------------------------------

#[test]
fn nothing_of_the_body_runs_before_the_first_resume() {
    let _limit = TimeLimit::start();
    let steps = Log::new();
    let log = steps.clone();
    let co = Coroutine::<i32>::new(move |_| {
        log.add("closure");
        async move { log.add("future") }
    });
    assert_eq!(steps.take(), [""; 0]);
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(steps.take(), ["closure", "future"]);
}

#[test]
fn each_resume_takes_a_value_in_and_a_value_out() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<String, i32, &str>::new_with(async |co, first| {
        let second = co.yield_(format!("got {first}")).await;
        let third = co.yield_(format!("got {second}")).await;
        assert_eq!(third, 3);
        "end"
    });
    assert_eq!(co.resume(1), Ok(Yielded("got 1".into())));
    assert_eq!(co.resume(2), Ok(Yielded("got 2".into())));
    assert_eq!(co.resume(3), Ok(Returned("end")));
}

#[test]
fn body_may_be_a_closure_that_returns_a_future() {
    let _limit = TimeLimit::start();
    let co = Coroutine::new(|co| async move {
        co.yield_(1).await;
        "end"
    });
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    assert_eq!(co.resume(()), Ok(Returned("end")));
}

#[test]
fn body_may_be_a_plain_async_function() {
    let _limit = TimeLimit::start();
    async fn count(co: Yielder<u8>) {
        for i in 1..=3 {
            yield_one(&co, i).await;
        }
    }
    async fn yield_one(co: &Yielder<u8>, value: u8) {
        co.yield_(value).await;
    }
    assert_eq!(Coroutine::new(count).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn clones_are_the_same_coroutine() {
    let _limit = TimeLimit::start();
    let co = counter(3);
    let same = co.clone();
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    assert_eq!(same.resume(()), Ok(Yielded(2)));
    assert_eq!(co.resume(()), Ok(Yielded(3)));
    assert_eq!(same.resume(()), Ok(Returned(())));
    assert_eq!(co.status(), Status::Dead);
}

#[test]
fn yielded_and_passed_values_are_moved_and_dropped_once() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let body_drops = drops.clone();
    let co = Coroutine::<Counted, Counted, Counted>::new_with(async move |co, first| {
        drop(first);
        drop(co.yield_(body_drops.item()).await);
        body_drops.item()
    });
    let out = co.resume(drops.item());
    assert_eq!(drops.count(), 1, "the first argument");
    drop(out);
    assert_eq!(drops.count(), 2, "the yielded value");
    let end = co.resume(drops.item());
    assert_eq!(drops.count(), 3, "the answer");
    drop(end);
    assert_eq!(drops.count(), 4, "the returned value");
    drop(co);
    assert_eq!(drops.count(), 4);
}

// ---- the four states ----------------------------------------------------------------------------

#[test]
fn status_is_suspended_then_running_then_suspended_then_dead() {
    let _limit = TimeLimit::start();
    let me = Myself::new();
    let same = me.clone();
    let co = Coroutine::new(async move |co| co.yield_(same.get().status()).await);
    me.set(&co);
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(()), Ok(Yielded(Status::Running)));
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(co.status(), Status::Dead);
}

#[test]
fn coroutine_that_resumed_another_is_normal_while_the_other_runs() {
    let _limit = TimeLimit::start();
    let outer = Myself::<Status>::new();
    let seen_from_inner = outer.clone();
    let inner = Coroutine::new(async move |co| {
        co.yield_(seen_from_inner.get().status()).await;
    });
    let same = outer.clone();
    let co = Coroutine::new(async move |co| {
        let Ok(Yielded(seen)) = inner.resume(()) else {
            panic!("the inner one yields");
        };
        co.yield_(seen).await;
        assert_eq!(inner.status(), Status::Suspended);
        co.yield_(same.get().status()).await;
    });
    outer.set(&co);
    assert_eq!(co.resume(()), Ok(Yielded(Status::Normal)));
    assert_eq!(co.resume(()), Ok(Yielded(Status::Running)));
    assert_eq!(co.resume(()), Ok(Returned(())));
}

#[test]
fn only_the_innermost_of_three_is_running() {
    let _limit = TimeLimit::start();
    let all: Rc<RefCell<Vec<Coroutine<Vec<Status>>>>> = Rc::default();
    let statuses = |all: &Rc<RefCell<Vec<Coroutine<Vec<Status>>>>>| -> Vec<Status> {
        all.borrow().iter().map(Coroutine::status).collect()
    };
    let seen = Rc::clone(&all);
    let innermost = Coroutine::new(async move |co| co.yield_(statuses(&seen)).await);
    let middle = relay(innermost.clone());
    let outermost = relay(middle.clone());
    all.borrow_mut().extend([outermost.clone(), middle, innermost]);
    let expected = vec![Status::Normal, Status::Normal, Status::Running];
    assert_eq!(outermost.resume(()), Ok(Yielded(expected)));
    assert_eq!(statuses(&all), [Status::Suspended; 3]);
    all.borrow_mut().clear();

    fn relay(source: Coroutine<Vec<Status>>) -> Coroutine<Vec<Status>> {
        Coroutine::new(async move |co| {
            for value in source {
                co.yield_(value).await;
            }
        })
    }
}

#[test]
fn resuming_a_dead_coroutine_is_an_error_and_drops_the_argument() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let co = Coroutine::<i32, Counted>::new_with(async |_, _| {});
    assert_eq!(co.resume(drops.item()), Ok(Returned(())));
    for resumed in 2..5 {
        assert_eq!(co.resume(drops.item()), Err(Dead));
        assert_eq!(drops.count(), resumed);
    }
}

#[test]
fn coroutine_cannot_resume_itself_and_goes_on() {
    let _limit = TimeLimit::start();
    let me = Myself::new();
    let same = me.clone();
    let co = Coroutine::new(async move |co| {
        let refused = same.get().resume(()).unwrap_err();
        co.yield_(refused).await;
    });
    me.set(&co);
    assert_eq!(co.resume(()), Ok(Yielded(NotSuspended)));
    assert_eq!(co.resume(()), Ok(Returned(())));
}

#[test]
fn coroutine_cannot_be_resumed_by_the_one_that_it_resumed() {
    let _limit = TimeLimit::start();
    let outer = Myself::new();
    let outer_too = outer.clone();
    let inner = Coroutine::new(async move |co| {
        co.yield_(outer_too.get().resume(()).unwrap_err()).await;
    });
    let co = Coroutine::new(async move |co| {
        for refused in inner {
            co.yield_(refused).await;
        }
    });
    outer.set(&co);
    assert_eq!(co.resume(()), Ok(Yielded(NotSuspended)));
    assert_eq!(co.resume(()), Ok(Returned(())));
}

#[test]
fn errors_read_as_in_lua() {
    let _limit = TimeLimit::start();
    assert_eq!(Dead.to_string(), "cannot resume dead coroutine");
    assert_eq!(NotSuspended.to_string(), "cannot resume non-suspended coroutine");
    let blocked: Box<dyn std::error::Error> = Box::new(Blocked);
    assert!(blocked.to_string().contains("resume_async"), "{blocked}");
}

#[test]
fn debug_output_shows_the_status() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<String>::new(async |co| co.yield_(format!("{co:?}")).await);
    assert_eq!(format!("{co:?}"), "Coroutine { status: Suspended, .. }");
    assert_eq!(co.resume(()), Ok(Yielded("Yielder { status: Running, .. }".into())));
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(format!("{co:?}"), "Coroutine { status: Dead, .. }");
    assert_eq!(
        format!("{:?}", co.resume_async(())),
        "ResumeAsync { coroutine: Coroutine { status: Dead, .. }, .. }"
    );
}

// ---- as an iterator -----------------------------------------------------------------------------

#[test]
fn iterator_ends_with_the_body_and_stays_ended() {
    let _limit = TimeLimit::start();
    let mut numbers = counter(2);
    assert_eq!(numbers.next(), Some(1));
    assert_eq!(numbers.next(), Some(2));
    for _ in 0..3 {
        assert_eq!(numbers.next(), None);
    }
    assert_eq!(counter(0).count(), 0);
}

#[test]
fn iterator_ends_when_somebody_else_resumed_the_coroutine_to_its_end() {
    let _limit = TimeLimit::start();
    let mut numbers = counter(1);
    let same = numbers.clone();
    assert_eq!(same.resume(()), Ok(Yielded(1)));
    assert_eq!(same.resume(()), Ok(Returned(())));
    assert_eq!(numbers.next(), None);
}

#[test]
fn iterator_that_was_left_half_way_goes_on_from_there() {
    let _limit = TimeLimit::start();
    let mut numbers = counter(5);
    assert_eq!(numbers.by_ref().take(2).sum::<u64>(), 3);
    assert_eq!(numbers.resume(()), Ok(Yielded(3)));
    assert_eq!(numbers.collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn iterator_panics_when_the_body_blocks_instead_of_ending() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let mut co = Coroutine::new(async move |co| {
        inside.wait().await;
        co.yield_(1).await;
    });
    let text = panic_text(|| co.next());
    assert!(text.contains("resume_async"), "{text}");
    gate.open();
    assert_eq!(co.next(), Some(1), "the iterator's own panic is not the body's");
}

#[test]
fn iterator_panics_on_itself_and_the_coroutine_is_dead() {
    let _limit = TimeLimit::start();
    let me = Myself::<i32>::new();
    let same = me.clone();
    let co = Coroutine::new(async move |co| {
        for value in same.get() {
            co.yield_(value).await;
        }
    });
    me.set(&co);
    let text = panic_text(|| co.resume(()));
    assert!(text.contains("non-suspended"), "{text}");
    assert_eq!(co.status(), Status::Dead);
}

#[test]
fn pipeline_of_a_hundred_stages_keeps_order() {
    let _limit = TimeLimit::start();
    let mut last = counter(100);
    for _ in 0..100 {
        let source = last;
        last = Coroutine::new(async move |co| {
            for value in source {
                co.yield_(value + 1).await;
            }
        });
    }
    assert!(last.eq(101..=200));
}

// ---- bodies that block --------------------------------------------------------------------------

#[test]
fn body_that_awaits_something_else_blocks_and_goes_on_from_there() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let steps = Log::new();
    let log = steps.clone();
    let co = Coroutine::new(async move |co| {
        log.add("before");
        inside.wait().await;
        log.add("after");
        co.yield_(1).await;
    });
    for _ in 0..3 {
        assert_eq!(co.resume(()), Err(Blocked));
        assert_eq!(co.status(), Status::Suspended);
    }
    assert_eq!(steps.take(), ["before"]);
    gate.open();
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    assert_eq!(steps.take(), ["after"]);
    assert_eq!(co.resume(()), Ok(Returned(())));
}

#[test]
fn arguments_of_the_resumes_after_blocked_are_dropped_up_to_the_next_yield() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, i32>::new_with(async move |co, first| {
        assert_eq!(first, 1);
        inside.wait().await;
        co.yield_(10).await
    });
    assert_eq!(co.resume(1), Err(Blocked));
    assert_eq!(co.resume(2), Err(Blocked));
    gate.open();
    assert_eq!(co.resume(3), Ok(Yielded(10)));
    assert_eq!(co.resume(4), Ok(Returned(4)), "the answer to the yield");
}

#[test]
fn dropped_argument_may_resume_the_coroutine_in_its_destructor() {
    let _limit = TimeLimit::start();
    struct ResumesWhenDropped(Option<Coroutine<u8, ResumesWhenDropped>>, Rc<Cell<u8>>);
    impl Drop for ResumesWhenDropped {
        fn drop(&mut self) {
            if let Some(co) = self.0.take() {
                if let Ok(Yielded(value)) = co.resume(ResumesWhenDropped(None, Rc::default())) {
                    self.1.set(value);
                }
            }
        }
    }
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<u8, ResumesWhenDropped>::new_with(async move |co, _| {
        inside.wait().await;
        co.yield_(1).await;
        co.yield_(2).await;
    });
    let seen = Rc::new(Cell::new(0));
    let nothing = || ResumesWhenDropped(None, Rc::default());
    assert!(matches!(co.resume(nothing()), Err(Blocked)));
    gate.open();
    let nosy = ResumesWhenDropped(Some(co.clone()), Rc::clone(&seen));
    assert!(matches!(co.resume(nosy), Ok(Yielded(1))), "nothing is borrowed, nothing is lost");
    assert_eq!(seen.get(), 2, "the destructor found the coroutine suspended");
}

#[test]
fn body_that_never_yields_but_blocks_returns_in_the_end() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<Infallible, (), i32>::new(async move |_| {
        inside.wait().await;
        7
    });
    assert_eq!(co.resume(()), Err(Blocked));
    gate.open();
    assert_eq!(co.resume(()), Ok(Returned(7)));
    assert_eq!(co.resume(()), Err(Dead));
}

#[test]
fn await_that_is_ready_does_not_block() {
    let _limit = TimeLimit::start();
    let co = Coroutine::new(async |co| {
        for i in 0..3 {
            co.yield_(future::ready(i).await).await;
        }
    });
    assert_eq!(co.collect::<Vec<_>>(), [0, 1, 2]);
}

// ---- panics -------------------------------------------------------------------------------------

#[test]
fn panic_unwinds_through_resume_and_leaves_the_coroutine_dead() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let (captured, held) = (drops.item(), drops.clone());
    let co = Coroutine::new(async move |co| {
        let _captured = captured;
        let _local = held.item();
        co.yield_(1).await;
        panic!("out of the body");
    });
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    assert_eq!(panic_text(|| co.resume(())), "out of the body");
    assert_eq!(drops.count(), 2, "all that the body held is dropped");
    assert_eq!(co.status(), Status::Dead);
    assert_eq!(co.resume(()), Err(Dead));
}

#[test]
fn panic_in_the_closure_that_makes_the_body_leaves_the_coroutine_dead() {
    let _limit = TimeLimit::start();
    fn no_body(_: Yielder<i32>) -> future::Ready<()> {
        panic!("no body")
    }
    let co = Coroutine::new(no_body);
    assert_eq!(panic_text(|| co.resume(())), "no body");
    assert_eq!(co.status(), Status::Dead);
    assert_eq!(co.resume(()), Err(Dead));
}

#[test]
fn panic_drops_a_hand_written_body_once_and_finds_it_dead() {
    let _limit = TimeLimit::start();
    struct Panics(Rc<RefCell<Option<Coroutine<i32>>>>, Rc<Cell<Option<Status>>>);
    impl Future for Panics {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("polled")
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            assert_eq!(self.1.take(), None, "dropped once");
            self.1.set(self.0.borrow().as_ref().map(Coroutine::status));
        }
    }
    let (me, seen) = (Rc::default(), Rc::default());
    let body = Panics(Rc::clone(&me), Rc::clone(&seen));
    let co = Coroutine::new(move |_| body);
    me.replace(Some(co.clone()));
    assert_eq!(panic_text(|| co.resume(())), "polled");
    assert_eq!(seen.get(), Some(Status::Dead));
    me.take();
}

#[test]
fn panic_in_an_inner_coroutine_unwinds_through_the_outer_one() {
    let _limit = TimeLimit::start();
    let inner = Coroutine::<i32>::new(async |_| panic!("deep"));
    let inner_too = inner.clone();
    let outer = Coroutine::<i32>::new(async move |co| {
        for value in inner_too {
            co.yield_(value).await;
        }
    });
    assert_eq!(panic_text(|| outer.resume(())), "deep");
    assert_eq!((inner.status(), outer.status()), (Status::Dead, Status::Dead));
}

#[test]
fn body_that_catches_the_panic_of_an_inner_coroutine_is_running_again() {
    let _limit = TimeLimit::start();
    let me = Myself::new();
    let same = me.clone();
    let co = Coroutine::new(async move |co| {
        let inner = Coroutine::<i32>::new(async |_| panic!("caught"));
        assert_eq!(panic_text(|| inner.resume(())), "caught");
        assert_eq!(inner.status(), Status::Dead);
        co.yield_(same.get().status()).await;
    });
    me.set(&co);
    assert_eq!(co.resume(()), Ok(Yielded(Status::Running)));
    assert_eq!(co.resume(()), Ok(Returned(())));
}

// ---- drops --------------------------------------------------------------------------------------

#[test]
fn last_clone_dropped_drops_a_suspended_body() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let (captured, held) = (drops.item(), drops.clone());
    let co = Coroutine::new(async move |co| {
        let _captured = captured;
        let _local = held.item();
        co.yield_(1).await;
        unreachable!("nobody resumes it again");
    });
    let same = co.clone();
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    drop(co);
    assert_eq!(drops.count(), 0, "a clone is left");
    drop(same);
    assert_eq!(drops.count(), 2);
}

#[test]
fn coroutine_that_never_started_drops_what_its_body_captured() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let captured = drops.item();
    drop(Coroutine::<i32>::new(async move |_| drop(captured)));
    assert_eq!(drops.count(), 1);
}

#[test]
fn blocked_body_is_dropped_inside_its_await() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let captured = drops.item();
    let co = Coroutine::<i32>::new(async move |_| {
        future::pending::<()>().await;
        drop(captured);
    });
    assert_eq!(co.resume(()), Err(Blocked));
    drop(co);
    assert_eq!(drops.count(), 1);
}

#[test]
fn finished_body_is_dropped_before_its_last_resume_returns() {
    let _limit = TimeLimit::start();
    struct Body {
        _captured: Counted,
    }
    impl Future for Body {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let drops = Drops::new();
    let body = Body { _captured: drops.item() };
    let co = Coroutine::<i32>::new(move |_| body);
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(drops.count(), 1);
    assert_eq!(co.status(), Status::Dead);
}

#[test]
fn destructor_in_a_finished_body_finds_its_coroutine_dead() {
    let _limit = TimeLimit::start();
    struct Asks(Myself<i32>, Rc<Cell<Option<ResumeError>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.1.set(self.0.get().resume(()).err());
        }
    }
    impl Future for Asks {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let (me, answer) = (Myself::new(), Rc::default());
    let asks = Asks(me.clone(), Rc::clone(&answer));
    let co = Coroutine::new(move |_| asks);
    me.set(&co);
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(answer.get(), Some(Dead));
}

#[test]
fn body_that_holds_its_own_coroutine_is_freed_when_it_ends() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let captured = drops.item();
    let me = Myself::<i32>::new();
    let same = me.clone();
    let co = Coroutine::new(async move |_| {
        let _held = (captured, same);
    });
    me.set(&co);
    drop(me);
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(drops.count(), 1);
}

// ---- several yields, and yielders in odd places --------------------------------------------------

#[test]
fn yield_that_is_never_polled_does_nothing() {
    let _limit = TimeLimit::start();
    let co = Coroutine::new(async |co| {
        drop(co.yield_(1));
        co.yield_(2).await;
    });
    assert_eq!(co.collect::<Vec<_>>(), [2]);
}

#[test]
fn joined_yields_are_served_in_the_order_of_their_first_polls() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<&str, i32, (i32, i32, i32)>::new_with(async |co, _| {
        let (a, (b, c)) = join(co.yield_("a"), join(co.yield_("b"), co.yield_("c"))).await;
        (a, b, c)
    });
    assert_eq!(co.resume(0), Ok(Yielded("a")));
    assert_eq!(co.resume(1), Ok(Yielded("b")));
    assert_eq!(co.resume(2), Ok(Yielded("c")));
    assert_eq!(co.resume(3), Ok(Returned((1, 2, 3))));
}

#[test]
fn joined_loops_merge_what_they_yield_and_each_gets_its_own_answers() {
    let _limit = TimeLimit::start();
    async fn three(co: &Yielder<i32, i32>, start: i32) -> Vec<i32> {
        let mut answers = Vec::new();
        for i in 0..3 {
            answers.push(co.yield_(start + i).await);
        }
        answers
    }
    let co = Coroutine::<i32, i32, (Vec<i32>, Vec<i32>)>::new_with(async |co, _| {
        join(three(&co, 10), three(&co, 20)).await
    });
    let mut out = Vec::new();
    let mut next = co.resume(0);
    while let Ok(Yielded(value)) = next {
        out.push(value);
        assert!(out.len() <= 6);
        next = co.resume(-value);
    }
    assert_eq!(out, [10, 20, 11, 21, 12, 22]);
    assert_eq!(next, Ok(Returned((vec![-10, -11, -12], vec![-20, -21, -22]))));
}

#[test]
fn joined_yields_work_in_a_body_that_polls_only_what_was_woken() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<i32, i32, Vec<i32>>::new_with(async |co, _| {
        let co = Rc::new(co);
        let part = |value| {
            let co = Rc::clone(&co);
            async move { co.yield_(value).await }
        };
        WhenWoken::of([part(1), part(2), part(3)]).await
    });
    assert_eq!(co.resume(0), Ok(Yielded(1)));
    assert_eq!(co.resume(10), Ok(Yielded(2)));
    assert_eq!(co.resume(20), Ok(Yielded(3)));
    assert_eq!(co.resume(30), Ok(Returned(vec![10, 20, 30])));
}

#[test]
fn answer_wakes_the_waker_of_the_latest_poll_only() {
    let _limit = TimeLimit::start();
    let wakers = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    let inside = wakers.clone();
    let co = Coroutine::<i32>::new(async move |co| {
        let mut pending = co.yield_(1);
        future::poll_fn(|_| {
            for wakes in &inside {
                let waker = Waker::from(Arc::clone(wakes));
                if Pin::new(&mut pending).poll(&mut Context::from_waker(&waker)).is_ready() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    });
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert_eq!(wakers.each_ref().map(|wakes| wakes.0.load(Ordering::Relaxed)), [0, 1]);
}

#[test]
fn yield_dropped_before_its_value_was_taken_takes_it_back() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let co = Coroutine::<Option<Counted>>::new(async move |co| {
        let mut lost = co.yield_(Some(drops.item()));
        assert!(poll_once(&mut lost).await.is_none());
        drop(lost);
        assert_eq!(drops.count(), 1);
        co.yield_(None).await;
    });
    assert!(
        matches!(co.resume(()), Ok(Yielded(None))),
        "the value that was taken back is not seen"
    );
    assert!(matches!(co.resume(()), Ok(Returned(()))));
}

#[test]
fn one_of_two_pending_yields_may_be_dropped() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<i32, i32, i32>::new_with(async |co, _| {
        let mut first = co.yield_(1);
        let mut second = co.yield_(2);
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        drop(first);
        second.await
    });
    assert_eq!(co.resume(0), Ok(Yielded(2)));
    assert_eq!(co.resume(5), Ok(Returned(5)));
}

#[test]
fn answer_to_a_yield_that_was_dropped_is_dropped() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, i32>::new_with(async move |co, _| {
        either(inside.wait(), co.yield_(1)).await;
        co.yield_(2).await
    });
    assert_eq!(co.resume(0), Ok(Yielded(1)));
    gate.open();
    assert_eq!(co.resume(10), Ok(Yielded(2)), "10 went to a yield that was dropped");
    assert_eq!(co.resume(20), Ok(Returned(20)));
}

#[test]
fn answer_waits_for_a_yield_that_is_polled_later() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, (i32, i32)>::new_with(async move |co, _| {
        let mut first = co.yield_(1);
        assert!(poll_once(&mut first).await.is_none());
        inside.wait().await;
        let second = co.yield_(2).await;
        (first.await, second)
    });
    assert_eq!(co.resume(0), Ok(Yielded(1)));
    assert_eq!(co.resume(10), Err(Blocked), "the answer is there, nobody looks");
    gate.open();
    assert_eq!(co.resume(20), Ok(Yielded(2)), "nobody asked for this one");
    assert_eq!(co.resume(30), Ok(Returned((10, 30))));
}

#[test]
fn yielder_that_escaped_panics_outside_and_the_coroutine_stays_usable() {
    let _limit = TimeLimit::start();
    let escaped: Rc<RefCell<Option<Rc<Yielder<i32>>>>> = Rc::default();
    let way_out = Rc::clone(&escaped);
    let co = Coroutine::new(async move |co| {
        let co = Rc::new(co);
        way_out.replace(Some(Rc::clone(&co)));
        co.yield_(1).await;
        co.yield_(2).await;
    });
    assert_eq!(co.resume(()), Ok(Yielded(1)));
    let yielder = escaped.take().expect("the body gave it away");
    let text = panic_text(|| poll_now(&mut yielder.yield_(9)));
    assert!(text.contains("attempt to yield from outside a coroutine"), "{text}");
    assert_eq!(co.resume(()), Ok(Yielded(2)));
    assert_eq!(co.resume(()), Ok(Returned(())));
    assert!(panic_text(|| poll_now(&mut yielder.yield_(9))).contains("outside"), "also when dead");
}

#[test]
fn yielder_that_escaped_into_another_coroutine_panics_there() {
    let _limit = TimeLimit::start();
    let escaped: Rc<RefCell<Option<Yielder<i32>>>> = Rc::default();
    let way_out = Rc::clone(&escaped);
    let owner = Coroutine::<i32>::new(async move |co| {
        way_out.replace(Some(co));
    });
    assert_eq!(owner.resume(()), Ok(Returned(())));
    let foreign = escaped.take().expect("the body gave it away");
    let thief = Coroutine::<i32>::new(async move |_| foreign.yield_(1).await);
    assert!(panic_text(|| thief.resume(())).contains("outside"));
    assert_eq!(thief.status(), Status::Dead);
}

#[test]
fn inner_coroutine_may_yield_for_the_outer_one_that_drives_it() {
    let _limit = TimeLimit::start();
    let outer = Coroutine::<i32, i32, i32>::new_with(async |co, _| {
        let inner = Coroutine::<Infallible, (), i32>::new(async move |_| co.yield_(1).await * 2);
        match inner.resume_async(()).await {
            Ok(Returned(value)) => value,
            Err(err) => panic!("{err}"),
        }
    });
    assert_eq!(outer.resume(0), Ok(Yielded(1)));
    assert_eq!(outer.resume(21), Ok(Returned(42)));
}

#[test]
fn joined_yields_get_their_own_answers_whoever_is_polled_resumed_or_dropped_when() {
    let _limit = TimeLimit::start();
    const PARTS: u64 = 4;
    const YIELDS: u64 = 25;
    for seed in 1..=200 {
        let random = Random(Rc::new(Cell::new(seed)));
        let inside = random.clone();
        let co = Coroutine::<u64, u64, u64>::new_with(async move |co, _| {
            let answered = Cell::new(0);
            let part = async |part: u64| {
                for i in 0..YIELDS {
                    let value = part * YIELDS + i + 1;
                    let answer = if inside.one_in(4) {
                        either(co.yield_(value), polls(inside.next() % 4)).await
                    } else {
                        Some(co.yield_(value).await)
                    };
                    let Some(answer) = answer else {
                        continue; // dropped, at any of its stages
                    };
                    assert_eq!(answer, 1000 + value);
                    answered.set(answered.get() + 1);
                }
            };
            let mut parts: Vec<_> = (0..PARTS).map(|i| Some(Box::pin(part(i)))).collect();
            future::poll_fn(|cx| {
                let flag = Waker::from(Arc::new(Flag(AtomicBool::new(false))));
                let first = inside.next() as usize;
                for i in 0..parts.len() {
                    let index = (first + i) % parts.len();
                    let Some(future) = parts[index].as_mut().filter(|_| !inside.one_in(3)) else {
                        continue; // as if it were not its turn
                    };
                    let waker = if inside.one_in(5) { &flag } else { cx.waker() };
                    let cx = &mut Context::from_waker(waker);
                    if future.as_mut().poll(cx).is_ready() {
                        parts[index] = None;
                    }
                }
                match parts.iter().all(Option::is_none) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            answered.get()
        });
        let (mut arg, mut seen) = (0, Vec::new());
        let answered = loop {
            let resumed = if random.one_in(2) {
                co.resume(arg)
            } else {
                poll_now(&mut co.resume_async(arg)).unwrap_or(Err(Blocked))
            };
            match resumed {
                Ok(Yielded(value)) => {
                    seen.push(value);
                    arg = 1000 + value;
                }
                Err(Blocked) => arg = 0, // nobody asked for anything
                Ok(Returned(answered)) => break answered,
                Err(err) => panic!("{err}"),
            }
        };
        assert!(answered >= PARTS * YIELDS / 2, "{answered}");
        assert!(seen.len() as u64 >= answered);
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each value goes out once at most");
    }
}

// ---- resume_async -------------------------------------------------------------------------------

#[test]
fn resume_async_waits_for_what_the_body_awaits() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, i32>::new_with(async move |co, first| {
        inside.wait().await;
        co.yield_(first + 1).await
    });
    let task = Task::new(async move {
        assert_eq!(co.resume_async(1).await, Ok(Yielded(2)));
        assert_eq!(co.resume_async(3).await, Ok(Returned(3)));
        assert_eq!(co.resume_async(4).await, Err(Dead));
    });
    assert!(task.poll().is_pending());
    assert_eq!(task.wakes(), 0);
    gate.open();
    assert_eq!(task.wakes(), 1, "the body's await has got the waker of the task");
    assert!(task.poll().is_ready());
    assert_eq!(task.wakes(), 1, "a resume that finds its yield ready wakes nobody");
}

#[test]
fn resume_async_of_a_body_that_does_not_block_is_ready_at_once() {
    let _limit = TimeLimit::start();
    let sum = block_on(async {
        let numbers = counter(1000);
        let mut sum = 0;
        while let Ok(Yielded(number)) = numbers.resume_async(()).await {
            sum += number;
        }
        sum
    });
    assert_eq!(sum, 500_500);
}

#[test]
fn resume_async_does_nothing_before_its_first_poll() {
    let _limit = TimeLimit::start();
    let drops = Drops::new();
    let co = Coroutine::<i32, Counted>::new_with(async |co, first| {
        drop(first);
        co.yield_(1).await;
    });
    let unpolled = co.resume_async(drops.item());
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(drops.item()), Ok(Yielded(1)));
    assert_eq!(drops.count(), 1, "the argument of the body");
    drop(unpolled);
    assert_eq!(drops.count(), 2);
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(drops.item()), Ok(Returned(())));
}

#[test]
fn coroutine_is_taken_while_a_resume_async_waits() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::new(async move |co| {
        inside.wait().await;
        co.yield_(1).await;
    });
    let mut first = co.resume_async(());
    assert!(poll_now(&mut first).is_none());
    assert_eq!(co.status(), Status::Normal);
    assert_eq!(co.resume(()), Err(NotSuspended));
    let mut second = co.resume_async(());
    assert_eq!(poll_now(&mut second), Some(Err(NotSuspended)));
    drop(second);
    assert_eq!(co.status(), Status::Normal, "a refused resume releases nothing");
    gate.open();
    assert_eq!(poll_now(&mut first), Some(Ok(Yielded(1))));
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(()), Ok(Returned(())), "before the finished future is dropped");
    drop(first);
    assert_eq!(co.status(), Status::Dead);
}

#[test]
fn resume_async_dropped_half_way_leaves_the_coroutine_where_it_waits() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, i32>::new_with(async move |co, first| {
        let answer = co.yield_(first).await;
        inside.wait().await;
        co.yield_(answer).await
    });
    assert_eq!(co.resume(1), Ok(Yielded(1)));
    let mut cancelled = co.resume_async(2);
    assert!(poll_now(&mut cancelled).is_none());
    drop(cancelled);
    assert_eq!(co.status(), Status::Suspended);
    assert_eq!(co.resume(3), Err(Blocked), "a plain resume may try");
    let mut again = co.resume_async(4);
    assert!(poll_now(&mut again).is_none());
    gate.open();
    assert_eq!(poll_now(&mut again), Some(Ok(Yielded(2))), "the answer 2 was not lost");
    assert_eq!(co.resume(5), Ok(Returned(5)));
}

#[test]
fn plain_and_async_resumes_may_alternate() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<i32, i32>::new_with(async |co, mut value| {
        loop {
            value = co.yield_(value).await;
        }
    });
    let task = Task::new(async move {
        for i in 0..10 {
            assert_eq!(co.resume(i), Ok(Yielded(i)));
            assert_eq!(co.resume_async(-i).await, Ok(Yielded(-i)));
        }
    });
    assert!(task.poll().is_ready());
    assert_eq!(task.wakes(), 0);
}

#[test]
fn joined_yields_work_under_resume_async_too() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let co = Coroutine::<i32, i32, (i32, i32)>::new_with(async move |co, _| {
        let slow = async {
            inside.wait().await;
            co.yield_(2).await
        };
        join(co.yield_(1), slow).await
    });
    let task = Task::new(async move {
        assert_eq!(co.resume_async(0).await, Ok(Yielded(1)));
        assert_eq!(co.resume_async(10).await, Ok(Yielded(2)), "waits for the gate");
        assert_eq!(co.resume_async(20).await, Ok(Returned((10, 20))));
    });
    assert!(task.poll().is_pending());
    gate.open();
    assert!(task.poll().is_ready());
}

#[test]
fn yield_answered_by_another_task_wakes_its_own_part_of_the_body() {
    let _limit = TimeLimit::start();
    let co = Coroutine::<i32, i32, Vec<i32>>::new_with(async |co, _| {
        let co = Rc::new(co);
        let part = |value| {
            let co = Rc::clone(&co);
            async move { co.yield_(value).await }
        };
        WhenWoken::of([part(1), part(2)]).await
    });
    let resume = |arg| {
        let co = co.clone();
        Task::new(async move { co.resume_async(arg).await })
    };
    assert_eq!(resume(0).poll(), Poll::Ready(Ok(Yielded(1))));
    assert_eq!(resume(10).poll(), Poll::Ready(Ok(Yielded(2))));
    assert_eq!(resume(20).poll(), Poll::Ready(Ok(Returned(vec![10, 20]))));
}

#[test]
fn outer_and_inner_have_their_states_under_resume_async() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let outer = Myself::<(Status, Status)>::new();
    let (inner, seen_outer) = (Myself::<(Status, Status)>::new(), outer.clone());
    let same = inner.clone();
    let inner_co = Coroutine::new(async move |co| {
        inside.wait().await;
        co.yield_((seen_outer.get().status(), same.get().status())).await;
    });
    inner.set(&inner_co);
    let inner_too = inner_co.clone();
    let outer_co = Coroutine::new(async move |co| {
        while let Ok(Yielded(seen)) = inner_too.resume_async(()).await {
            co.yield_(seen).await;
        }
    });
    outer.set(&outer_co);
    let outer_too = outer_co.clone();
    let task = Task::new(async move { outer_too.resume_async(()).await });
    assert!(task.poll().is_pending());
    assert_eq!((outer_co.status(), inner_co.status()), (Status::Normal, Status::Normal));
    gate.open();
    let seen_by_the_inner_one = (Status::Normal, Status::Running);
    assert_eq!(task.poll(), Poll::Ready(Ok(Yielded(seen_by_the_inner_one))));
    assert_eq!((outer_co.status(), inner_co.status()), (Status::Suspended, Status::Suspended));
    assert_eq!(outer_co.resume(()), Ok(Returned(())));
    assert_eq!((outer_co.status(), inner_co.status()), (Status::Dead, Status::Dead));
}

#[test]
fn body_that_waits_in_resume_async_blocks_a_plain_resume() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let inner = Coroutine::new(async move |co| {
        inside.wait().await;
        co.yield_(1).await;
    });
    let inner_too = inner.clone();
    let outer = Coroutine::new(async move |co| {
        while let Ok(Yielded(value)) = inner_too.resume_async(()).await {
            co.yield_(value).await;
        }
    });
    assert_eq!(outer.resume(()), Err(Blocked));
    assert_eq!((outer.status(), inner.status()), (Status::Suspended, Status::Normal));
    gate.open();
    assert_eq!(outer.resume(()), Ok(Yielded(1)));
    drop(outer);
    assert_eq!(inner.status(), Status::Suspended, "the outer body's resume ended with it");
}

#[test]
fn outer_coroutine_dropped_while_it_waits_releases_the_inner_one() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let inner = Coroutine::new(async move |co| {
        inside.wait().await;
        co.yield_(1).await;
    });
    let inner_too = inner.clone();
    let outer = Coroutine::<i32, (), _>::new(async move |_| inner_too.resume_async(()).await);
    assert_eq!(outer.resume(()), Err(Blocked));
    assert_eq!(inner.resume(()), Err(NotSuspended));
    drop(outer);
    gate.open();
    assert_eq!(inner.resume(()), Ok(Yielded(1)));
}

#[test]
fn panic_unwinds_through_resume_async_and_leaves_the_coroutine_dead() {
    let _limit = TimeLimit::start();
    let gate = Gate::new();
    let inside = gate.clone();
    let drops = Drops::new();
    let captured = drops.item();
    let co = Coroutine::<i32>::new(async move |_| {
        let _captured = captured;
        inside.wait().await;
        panic!("late");
    });
    let mut resume = co.resume_async(());
    assert!(poll_now(&mut resume).is_none());
    gate.open();
    assert_eq!(panic_text(|| poll_now(&mut resume)), "late");
    assert_eq!(drops.count(), 1);
    drop(resume);
    assert_eq!(co.status(), Status::Dead, "the drop of the future does not revive it");
    assert_eq!(co.resume(()), Err(Dead));
}

#[test]
fn coroutine_may_be_resumed_in_one_task_after_another() {
    let _limit = TimeLimit::start();
    let gates = [Gate::new(), Gate::new()];
    let inside = gates.clone();
    let co = Coroutine::new(async move |co| {
        for (i, gate) in inside.iter().enumerate() {
            gate.wait().await;
            co.yield_(i).await;
        }
    });
    for (i, gate) in gates.iter().enumerate() {
        let co = co.clone();
        let task = Task::new(async move { co.resume_async(()).await });
        assert!(task.poll().is_pending());
        gate.open();
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(), Poll::Ready(Ok(Yielded(i))));
    }
}

// ---- helpers ------------------------------------------------------------------------------------

/// Yields 1 to `n`.
fn counter(n: u64) -> Coroutine<u64> {
    Coroutine::new(async move |co| {
        for i in 1..=n {
            co.yield_(i).await;
        }
    })
}

/// A coroutine for its own body to find, set once it is made.
struct Myself<Y>(Rc<RefCell<Option<Coroutine<Y>>>>);

impl<Y> Myself<Y> {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn set(&self, co: &Coroutine<Y>) {
        self.0.replace(Some(co.clone()));
    }

    fn get(&self) -> Coroutine<Y> {
        self.0.borrow().clone().expect("it is set before the first resume")
    }
}

impl<Y> Clone for Myself<Y> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// What happened, in order.
#[derive(Clone)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn add(&self, step: &'static str) {
        self.0.borrow_mut().push(step);
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

/// Counts how many of its items have been dropped.
#[derive(Clone, Debug, PartialEq)]
struct Drops(Rc<Cell<usize>>);

#[derive(Debug, PartialEq)]
struct Counted(Drops);

impl Drops {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn item(&self) -> Counted {
        Counted(self.clone())
    }

    fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() + 1);
    }
}

/// Something to wait for, as an event loop would offer it.
#[derive(Clone)]
struct Gate(Rc<RefCell<GateState>>);

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting: Option<Waker>,
}

impl Gate {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn open(&self) {
        self.0.borrow_mut().is_open = true;
        let waiting = self.0.borrow_mut().waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    async fn wait(&self) {
        future::poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if state.is_open {
                return Poll::Ready(());
            }
            state.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A future with a waker that counts.
struct Task<'a, T> {
    future: RefCell<Pin<Box<dyn Future<Output = T> + 'a>>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'a, T> Task<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: RefCell::new(Box::pin(future)), wakes: Arc::default() }
    }

    fn poll(&self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.borrow_mut().as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

/// Polls a future for as long as it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let task = Task::new(future);
    for poll in 0.. {
        if let Poll::Ready(value) = task.poll() {
            return value;
        }
        assert!(task.wakes() > poll, "pending, and nobody will wake it");
    }
    unreachable!("a range without an end")
}

/// Polls once, outside any task.
fn poll_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Polls once, as a part of the task that awaits this.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// Waits for both, polling `a` first.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_value, mut b_value) = (None, None);
    future::poll_fn(|cx| {
        if a_value.is_none() {
            if let Poll::Ready(value) = a.as_mut().poll(cx) {
                a_value = Some(value);
            }
        }
        if b_value.is_none() {
            if let Poll::Ready(value) = b.as_mut().poll(cx) {
                b_value = Some(value);
            }
        }
        match (a_value.take(), b_value.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_value, b_value) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for one of the two, polling `a` first, and drops the other.
async fn either<A: Future>(a: A, b: impl Future) -> Option<A::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    future::poll_fn(|cx| {
        if let Poll::Ready(value) = a.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        b.as_mut().poll(cx).map(|_| None)
    })
    .await
}

/// Waits to be polled `n` times more.
async fn polls(mut n: u64) {
    future::poll_fn(|_| {
        if n == 0 {
            return Poll::Ready(());
        }
        n -= 1;
        Poll::Pending
    })
    .await;
}

/// Waits for all its parts, and polls only those that were woken, as `FuturesUnordered` does.
struct WhenWoken<F: Future> {
    parts: Vec<Part<F>>,
}

type Part<F> = (Pin<Box<F>>, Arc<Flag>, Option<<F as Future>::Output>);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<F: Future> WhenWoken<F> {
    fn of(parts: impl IntoIterator<Item = F>) -> Self {
        let woken = || Arc::new(Flag(AtomicBool::new(true)));
        Self { parts: parts.into_iter().map(|part| (Box::pin(part), woken(), None)).collect() }
    }
}

impl<F: Future> Future for WhenWoken<F>
where
    F::Output: Unpin,
{
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        for (part, flag, value) in &mut self.parts {
            if flag.0.swap(false, Ordering::Relaxed) {
                let waker = Waker::from(Arc::clone(flag));
                if let Poll::Ready(ready) = part.as_mut().poll(&mut Context::from_waker(&waker)) {
                    *value = Some(ready);
                }
            }
        }
        if self.parts.iter().any(|(_, _, value)| value.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(self.parts.iter_mut().filter_map(|(_, _, value)| value.take()).collect())
    }
}

/// A generator of numbers (xorshift) that is the same in every run.
#[derive(Clone)]
struct Random(Rc<Cell<u64>>);

impl Random {
    fn next(&self) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x >> 33
    }

    fn one_in(&self, n: u64) -> bool {
        self.next() % n == 0
    }
}

/// Runs what must panic, and returns the panic's text.
fn panic_text<T>(panics: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(panics)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&str>().expect("a panic with a text").to_string(),
        },
    }
}

/// Ends the process if the test that holds it takes too long: nothing here waits for anything.
struct TimeLimit {
    _test_is_over: Sender<Infallible>,
}

impl TimeLimit {
    fn start() -> Self {
        let (_test_is_over, over) = channel();
        let test = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            if let Err(RecvTimeoutError::Timeout) = over.recv_timeout(Duration::from_secs(20)) {
                eprintln!("{test} takes too long");
                std::process::abort();
            }
        });
        Self { _test_is_over }
    }
}
