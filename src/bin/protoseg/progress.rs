//! Progress bars on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `count` things with elapsed time, ETA and a message.
pub fn bar(count: u64, what: &str) -> ProgressBar {
    let template = format!("{what} [{{elapsed}}] {{bar:28}} {{pos}}/{{len}} ETA {{eta}} {{msg}}");
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
