//! What a process has used, as the kernel tells it, and a share of a processor to run it with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The processor time of a whole process, to the nanosecond; /proc counts in hundredths of a second.
pub(crate) fn cpu(id: u32) -> Duration {
    let id = Pid::from_raw(id.try_into().unwrap());
    let clock: ClockId = clock_getcpuclockid(id).unwrap();
    clock.now().unwrap().into()
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The most memory that it had resident, in MiB.
pub(crate) fn peak_mib(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

/// The memory at which Lambda gives one processor; less memory gives that much less of it.
const WHOLE: f64 = 1_769.0;
/// The kernel's default is 100 ms; Lambda is said to use 20 ms, and the shorter is the smoother.
const PERIOD_US: f64 = 20_000.0;

/// A control group whose processes share as much of a processor as a Lambda of this memory has.
pub(crate) struct Share {
    group: PathBuf,
}

impl Share {
    /// # Errors
    /// If the kernel's control groups cannot be written to, as without root.
    pub(crate) fn of_memory(mb: u32) -> std::io::Result<Self> {
        let quota = (PERIOD_US * f64::from(mb) / WHOLE).round();
        // Each is a group of its own: one that ends slowly would take its share from the next.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("fraud-job-watch-bench-{}-{mb}-{number}", std::process::id());
        // Version 2 has one tree, version 1 one for each resource.
        if fs::exists("/sys/fs/cgroup/cgroup.subtree_control")? {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")?;
            let share = Self::make(PathBuf::from("/sys/fs/cgroup").join(name))?;
            fs::write(share.group.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
            Ok(share)
        } else {
            let share = Self::make(PathBuf::from("/sys/fs/cgroup/cpu").join(name))?;
            fs::write(share.group.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            fs::write(share.group.join("cpu.cfs_quota_us"), quota.to_string())?;
            Ok(share)
        }
    }

    fn make(group: PathBuf) -> std::io::Result<Self> {
        fs::create_dir_all(&group)?;
        Ok(Self { group })
    }

    /// Whether this process runs in it.
    pub(crate) fn holds(&self, id: u32) -> std::io::Result<bool> {
        let members = fs::read_to_string(self.group.join("cgroup.procs"))?;
        Ok(members.lines().any(|member| member == id.to_string()))
    }

    /// Whatever this process does from now on, it does in this share.
    #[allow(dead_code, reason = "only a cold start is moved into it")]
    pub(crate) fn take_in(&self, id: u32) -> std::io::Result<()> {
        fs::write(self.group.join("cgroup.procs"), id.to_string())
    }

    /// The command, to run in this share from its first instruction on.
    pub(crate) fn confine(&self, command: &Command) -> Command {
        let mut confined = Command::new("/bin/sh");
        confined
            .args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#])
            .arg(&self.group)
            .arg(command.get_program())
            .args(command.get_args());
        confined
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A process that was killed leaves its group a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
