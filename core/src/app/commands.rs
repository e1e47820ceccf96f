//! What the application asks of its shard, in order, between the call that asked and the shard that takes it. Bounded in
//! number and in bytes; an answer that somebody waits for is never refused, as pending calls are bounded themselves.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use shard::Command;

use super::error::{Error, Result};
use super::limits::AppLimits;

/// The queue of one shard, shared by everything of its application.
#[derive(Debug)]
pub(crate) struct Commands {
    queue: RefCell<VecDeque<Command>>,
    bytes: Cell<usize>,
    refused: Cell<u64>,
    commands_max: usize,
    command_bytes_max: usize,
}

impl Commands {
    /// An empty queue.
    pub(crate) fn new(limits: &AppLimits) -> Self {
        Self {
            queue: RefCell::default(),
            bytes: Cell::new(0),
            refused: Cell::new(0),
            commands_max: limits.commands_max,
            command_bytes_max: limits.command_bytes_max,
        }
    }

    /// Queues a command, unless a bound is reached. A single command larger than the bound passes an empty queue: what
    /// it may hold is the business of the message limits.
    pub(crate) fn push(&self, command: Command) -> Result {
        let mut queue = self.queue.borrow_mut();
        let bytes = self.bytes.get() + bytes(&command);
        if queue.len() >= self.commands_max || (bytes > self.command_bytes_max && !queue.is_empty()) {
            self.refused.set(self.refused.get() + 1);
            return Err(Error::busy());
        }
        self.bytes.set(bytes);
        queue.push_back(command);
        Ok(())
    }

    /// Queues the answer of a pending call or hook.
    pub(crate) fn push_answer(&self, command: Command) {
        self.bytes.set(self.bytes.get() + bytes(&command));
        self.queue.borrow_mut().push_back(command);
    }

    /// The oldest command.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Command> {
        if self.queue.borrow().is_empty() { None } else { self.pop_one() }
    }

    /// Room that a burst has left behind is given back when the queue is empty.
    fn pop_one(&self) -> Option<Command> {
        let mut queue = self.queue.borrow_mut();
        let command = queue.pop_front()?;
        if queue.is_empty() && queue.capacity() > COMMANDS_KEPT {
            queue.shrink_to(COMMANDS_KEPT);
        }
        self.bytes.set(self.bytes.get() - bytes(&command));
        Some(command)
    }

    /// How many were refused.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused.get()
    }
}

/// The text that a command holds. Replies do not count: they are bounded by the calls that wait for them.
fn bytes(command: &Command) -> usize {
    let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    match command {
        Command::Publish { channel, data } => channel.len() + text(data),
        Command::Emit { event, data, .. } | Command::Invoke { event, data, .. } => event.len() + text(data),
        Command::Send { payload: Ok(text), .. } => text.len(),
        Command::Send { payload: Err(bytes), .. } => bytes.len(),
        Command::Address { names, act, .. } => names.len() + act.bytes(),
        Command::Join { channel, .. } | Command::Leave { channel, .. } => channel.len(),
        Command::KickOut { channel, message, .. } => channel.len() + message.len(),
        Command::SetToken { token, verified, .. } => token.len() + verified.claims.len(),
        // Bounded by the requests that wait for them.
        Command::Respond { .. } => 0,
        // Some names, and the task that waits is counted.
        Command::Ask { .. } => 0,
        // Bounded by the loads that the shard asks for.
        Command::SessionLoaded { .. } | Command::SessionSaved { .. } => 0,
        Command::SettleSessions
        | Command::Reply { .. }
        | Command::Verdict { .. }
        | Command::Disconnect { .. }
        | Command::LoginFailed { .. }
        | Command::RemoveToken { .. } => 0,
    }
}

/// Room for this many commands is kept between bursts: 1,024 x 72 bytes is less than one receive's buffers.
const COMMANDS_KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use shard::{Reply, Ticket};

    use super::*;

    fn publish(bytes: usize) -> Command {
        Command::Publish { channel: "c".into(), data: Some("1".repeat(bytes).into()) }
    }

    #[test]
    fn commands_leave_in_order_and_make_room() {
        let commands = Commands::new(&AppLimits { commands_max: 2, ..AppLimits::default() });
        for bytes in [1, 2] {
            commands.push(publish(bytes)).expect("there is room");
        }
        assert_eq!(commands.push(publish(3)).map_err(|error| error.name().to_owned()), Err("BusyError".to_owned()));
        assert_eq!(commands.refused(), 1);
        assert!(matches!(commands.pop(), Some(Command::Publish { data: Some(data), .. }) if data.len() == 1));
        commands.push(publish(4)).expect("room was made");
        assert!(matches!(commands.pop(), Some(Command::Publish { data: Some(data), .. }) if data.len() == 2));
        assert!(matches!(commands.pop(), Some(Command::Publish { data: Some(data), .. }) if data.len() == 4));
        assert!(commands.pop().is_none());
        assert_eq!(commands.bytes.get(), 0);
    }

    #[test]
    fn bytes_are_bounded_too_and_one_large_command_still_passes() {
        let commands = Commands::new(&AppLimits { command_bytes_max: 100, ..AppLimits::default() });
        commands.push(publish(500)).expect("an empty queue takes any command");
        assert!(commands.push(publish(1)).is_err());
        commands.pop();
        commands.push(publish(90)).expect("the large one has left");
        assert!(commands.push(publish(90)).is_err());
    }

    #[test]
    fn an_answer_is_taken_by_a_full_queue() {
        let commands = Commands::new(&AppLimits { commands_max: 0, ..AppLimits::default() });
        assert!(commands.push(publish(1)).is_err());
        commands.push_answer(Command::Reply { ticket: Ticket(1), reply: Reply::default() });
        assert!(matches!(commands.pop(), Some(Command::Reply { ticket: Ticket(1), .. })));
    }
}
