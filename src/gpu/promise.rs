//! A value that a callback delivers later, as a future: the bridge from `map_async` to `async`.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// The receiving half; resolves once [`Sender::send`] was called.
pub(super) struct Promise<T>(Arc<Mutex<State<T>>>);

/// The sending half, moved into the callback.
pub(super) struct Sender<T>(Arc<Mutex<State<T>>>);

/// A connected pair.
pub(super) fn promise<T>() -> (Sender<T>, Promise<T>) {
    let state = Arc::new(Mutex::new(State { value: None, waker: None }));
    (Sender(Arc::clone(&state)), Promise(state))
}

impl<T> Sender<T> {
    pub(super) fn send(self, value: T) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.value = Some(value);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Promise<T> {
    /// The value, if it was sent and not taken yet.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).value.take()
    }
}

impl<T> Future for Promise<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
