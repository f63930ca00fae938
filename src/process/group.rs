//! The child and its process group. Dropping it leaves nothing behind.

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

pub(super) struct Group {
    pub(super) child: Child,
    /// Readable when the child has ended. It stays a zombie until it is reaped, so that its number is
    /// nobody else's when the group is killed.
    pub(super) ended: OwnedFd,
    reaped: bool,
}

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(ended) => Ok(Group { child, ended, reaped: false }),
            Err(e) => {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                child.wait()?;
                Err(e.into())
            }
        }
    }

    /// Sends a signal to the whole group, which may have ended meanwhile.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // What is left to do about an error is what comes next anyway: SIGKILL, and to wait.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Kills what is left of the group, and reaps the child.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped
            && let Err(e) = self.reap()
        {
            log::error!("ironsys: the child {} is not reaped: {e}", self.child.id());
        }
    }
}
