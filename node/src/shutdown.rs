//! How everything in the process learns that it should end.
//!
//! One [`ShutdownTrigger`] and any number of [`Shutdown`]s. A request to stop cannot be taken back, and
//! whoever asks late hears of it at once. A trigger that is dropped counts as a request, so that no task
//! outlives the one who could stop it.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

/// Asks everybody to stop.
#[derive(Clone, Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Hears the request to stop.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what listens to it.
#[must_use]
pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Asks everybody to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Asks everybody to stop at the first SIGTERM or SIGINT (Ctrl-C). The handlers stand when this
    /// returns; the task it gives back ends with the first signal.
    ///
    /// # Errors
    /// When the operating system takes no handler.
    pub fn on_signals(self) -> io::Result<JoinHandle<()>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = self.0.closed() => return,
            };
            tracing::info!(event = "signal", signal = name, "stopping");
            self.request();
        }))
    }
}

impl Shutdown {
    /// Waits until somebody asks to stop.
    pub async fn requested(&mut self) {
        // An error means that the trigger is gone, and then nobody could ask any more.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_a_request_also_those_who_ask_late() {
        let (trigger, mut early) = channel();
        assert!(!early.is_requested());
        let waiting = tokio::spawn(async move { early.requested().await });
        trigger.request();
        waiting.await.expect("the task ends");
        let mut late = Shutdown(trigger.0.subscribe());
        late.requested().await;
        assert!(late.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_stops_everybody() {
        let (trigger, mut shutdown) = channel();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test]
    async fn a_signal_is_a_request() {
        let (trigger, mut shutdown) = channel();
        let task = trigger.on_signals().expect("handlers");
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).expect("a signal");
        shutdown.requested().await;
        task.await.expect("the task ends");
    }
}
