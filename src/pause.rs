//! Waiting without keeping others from running: a thread of its own sleeps, a browser's only one must not.

use std::time::Duration;

/// Resolves after `duration`.
pub async fn sleep(duration: Duration) {
    #[cfg(not(target_arch = "wasm32"))]
    std::thread::sleep(duration);
    #[cfg(all(target_arch = "wasm32", feature = "web"))]
    gloo_timers::future::sleep(duration).await;
    #[cfg(all(target_arch = "wasm32", not(feature = "web")))]
    let _ = duration;
}

/// Lets a browser draw and hear its user between two pieces of long work; natively others have threads of their own.
pub async fn breathe() {
    if cfg!(target_arch = "wasm32") {
        sleep(Duration::ZERO).await;
    }
}
