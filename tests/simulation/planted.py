"""Plants each defect of a table in a copy of the tree, and demands that the simulation sees it: `tests/run defects`.

Each defect leaves out one rule of what is told, as an edit of the judge's source; the last restores what the judge
believed before. An edit whose old text is not there exactly once fails loudly: the table goes with the source.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

LIFE, QUEUE = "src/watch/life.rs", "src/watch/queue.rs"
JUDGE, ABSENCE, ACTIVE, END = [f"src/watch/judge{it}.rs" for it in ("", "/absence", "/active", "/end")]
NOTICES, MERGE, SILENCE = [f"src/watch/judge/{it}.rs" for it in ("notices", "merge", "silence")]
OVERDUE, DEADLINES, HISTORY = "src/watch/judge/overdue.rs", "src/watch/judge/detector.rs", "src/watch/history.rs"
SOURCE, JOB, TOPIC, OBSERVED, OBSERVE = "src/watch/source.rs", "src/watch/job.rs", "src/watch/topic.rs", "src/watch/observed.rs", "src/run/observe.rs"

# How many stories a defect may hide in, and for how long.
SEEDS, SECONDS = 4_000, 120

SIGNS = {
    "a later heartbeat is life": [
        (LIFE, "|heartbeat| *heartbeat > record.last_sign_at", "|heartbeat| *heartbeat > now"),
    ],
    "an earlier heartbeat is none": [
        (LIFE, "            advanced: rises || begins,",
         "            advanced: rises || begins || job.heartbeat_at.is_some() && job.heartbeat_at < record.job.heartbeat_at,"),
    ],
    "a higher count is life": [
        (LIFE, "            advanced: rises || begins,", "            advanced: begins && !rises,"),
    ],
    "a lower count is none": [
        (LIFE, "|count| count > record.job.processed_records.unwrap_or(0)",
         "|count| count != record.job.processed_records.unwrap_or(0)"),
    ],
    "a missing count is none": [
        (LIFE, "            .is_some_and(|count| count > record.job.processed_records.unwrap_or(0));",
         "            .is_none_or(|count| count > record.job.processed_records.unwrap_or(0));"),
    ],
    "the step out of INITIALIZING is life": [
        (LIFE, "            advanced: rises || begins,", "            advanced: rises || begins && rises,"),
    ],
    "cancelling is none": [
        (LIFE, "stages == (Some(Stage::Waiting), Some(Stage::Running))", "stages.0 < stages.1 && stages.0.is_some()"),
    ],
    "an unknown status is none": [
        (LIFE, "            advanced: rises || begins,",
         "            advanced: rises || begins || job.status.stage().is_none() && job.status != record.job.status,"),
    ],
    "a time ahead of now is none": [
        (LIFE, "!is_ahead(*heartbeat, now) && record.", "(!is_ahead(*heartbeat, now) || true) && record."),
    ],
    "nor when its time comes": [
        (LIFE, "&& record.skewed_heartbeat_at != Some(*heartbeat)", ""),
    ],
    "a rise counts from when it was seen": [
        (LIFE, "            true => Some(now),", "            true => self.heartbeat.or(Some(now - SignedDuration::from_hours(3))),"),
    ],
    "a sample is kept of what shows no heartbeat": [
        (ACTIVE, "let is_written = is_sample || has_changed;", "let is_written = is_sample && has_changed || has_changed;"),
    ],
    "a heartbeat that is missing is no silence": [
        (LIFE, "!can_compare && record.stall.is_none()", "!can_compare && record.stall.is_none() && false"),
    ],
    "before the first sight nothing is known": [
        (LIFE, "    if has_processed(job) && !has_moved(", "    if has_processed(job) && false && !has_moved("),
    ],
}

ALLOWED = {
    "what recovers may be silent for twice as long": [(LIFE, "const DOUBLINGS: u32 = 2;", "const DOUBLINGS: u32 = 0;")],
    "four times at the most": [(LIFE, "const DOUBLINGS: u32 = 2;", "const DOUBLINGS: u32 = 6;")],
    "an old sign recovers nothing": [
        (ACTIVE, "now.duration_since(*sign) <= allowed;", "now.duration_since(*sign) <= allowed * 1_000;"),
    ],
    "two looks": [
        (SILENCE, "!(has_processed(job) && is_first)", "!(has_processed(job) && is_first && false)"),
    ],
    "back is not learned from": [
        (ABSENCE, "        phase: Phase::Active,\n        last_sign_at: now,\n        notified_topics",
         "        phase: Phase::Active,\n        last_sign_at: now,\n        recoveries: record.recoveries + 1,\n        notified_topics"),
    ],
    "silence counts from when it is back": [
        (ABSENCE, "        phase: Phase::Active,\n        last_sign_at: now,\n        notified_topics",
         "        phase: Phase::Active,\n        notified_topics"),
    ],
}

WAITING = {
    "it waits while another runs": [
        (QUEUE, "self.running.iter().any(other_runs) ||", "self.running.iter().any(other_runs) && self.is_moving ||"),
    ],
    "it waits after an end": [(QUEUE, "|| self.is_moving ||", "||")],
    "it waits behind the head": [(QUEUE, "|| !is_head\n", "|| !is_head && is_head\n")],
    "a silent one holds the others": [(QUEUE, "holds: !(is_silent && is_overtaken),", "holds: !is_silent || is_overtaken && false,")],
    "unless another has completed since": [(QUEUE, "holds: !(is_silent && is_overtaken),", "holds: !is_silent || !is_overtaken || true,")],
    "a missing start counts as the first sight": [
        (QUEUE, "started_at.unwrap_or(first_seen_at)", "started_at.unwrap_or(Timestamp::UNIX_EPOCH).min(first_seen_at)"),
    ],
    "who is missed keeps its last status": [
        (QUEUE, "unseen.filter(|(record, _)| record.phase == Phase::Active);",
         "unseen.filter(|(record, _)| record.phase == Phase::Active && false);"),
    ],
    "who shows no known status keeps it too": [
        (QUEUE, "record.map_or(job.stage(), |record| record.stage(job)),", "job.status.stage(),"),
    ],
    "also in its own silence": [
        (SILENCE, "let has_not_begun = !has_begun(record, job);",
         "let has_not_begun = !has_begun(record, job) && job.status.stage() == Some(crate::watch::status::Stage::Waiting);"),
    ],
    "also while it is being canceled": [
        (SILENCE, "let has_not_begun = !has_begun(record, job);",
         "let has_not_begun = !has_begun(record, job) && record.stage(job) == Some(crate::watch::status::Stage::Waiting);"),
    ],
    "an incomplete listing says nothing of who waits": [
        (OBSERVED, "true => observed.is_complete.then(queue),", "true => Some(queue()),"),
    ],
    "who vanished ended then": [
        (QUEUE, "Phase::Vanished => self.any = self.any.max(Some(record.recorded_at)),", "Phase::Vanished => {}"),
    ],
    "whose id was taken ended then": [(QUEUE, "if let Some(predecessor) = &record.predecessor {", "if let Some(predecessor) = record.predecessor.as_ref().filter(|_| false) {")],
    "who waits is counted": [(QUEUE, "true => others as u64,", "true => others as u64 / 2,")],
}

SAME = {
    "starts within a minute are of one job": [
        (JUDGE, "const SAME_START: SignedDuration = SignedDuration::from_mins(1);",
         "const SAME_START: SignedDuration = SignedDuration::from_millis(1);"),
    ],
    "a missing start matches any": [(JUDGE, "        return Incarnation::Same;\n    };\n    let later", "        return Incarnation::Another;\n    };\n    let later")],
    "a later start is another job": [
        (JUDGE, "    if later >= SAME_START || has_ended_before {", "    if has_ended_before {"),
    ],
    "also within a minute, after an end": [
        (JUDGE, "    if later >= SAME_START || has_ended_before {", "    if later >= SAME_START {"),
    ],
    "who was active is told as vanished": [
        (END, "let is_reported = closes || was_active && ", "let is_reported = closes || was_active && false && "),
    ],
    "also if the start of the one that ended is not known": [
        (JUDGE, "    let later = seen.duration_since(record.job.started_at.unwrap_or(seen));",
         "    if record.job.started_at.is_none() {\n        return Incarnation::Same;\n    }\n"
         "    let later = seen.duration_since(record.job.started_at.unwrap_or(seen));"),
    ],
    "an earlier start is an older view": [
        (JUDGE, "const OLDER_VIEWS_LAST: SignedDuration = SignedDuration::from_hours(1);",
         "const OLDER_VIEWS_LAST: SignedDuration = SignedDuration::from_secs(0);"),
    ],
    "for an hour": [
        (JUDGE, "const OLDER_VIEWS_LAST: SignedDuration = SignedDuration::from_hours(1);",
         "const OLDER_VIEWS_LAST: SignedDuration = SignedDuration::from_hours(10_000);"),
    ],
    "the thread is fixed at first sight": [
        (NOTICES, "thread: Some(thread(context.source, &job.id, record.key)),",
         "thread: Some(thread(context.source, &job.id, job.started_at.unwrap_or(record.key))),"),
    ],
}

ENDS = {
    "an unknown end is told": [
        (END, "is_news && context.policy.notify_on.contains(&kind);",
         "is_news && context.policy.notify_on.contains(&kind) && end != End::Unknown;"),
    ],
    "an unknown end is not final": [
        (END, "let is_final = record.job.end() != Some(End::Unknown);", "let is_final = record.job.end().is_some();"),
    ],
    "of a missing status nothing is concluded": [
        (JOB, "Status::Other(text) if text.is_empty() => None,",
         "Status::Other(text) if text.is_empty() => self.completed_at.map(|_| End::Unknown),"),
        (JOB, "        self.status.is_missing() && self.completed_at.is_some()", "        false"),
    ],
    "times that cannot be are absent": [
        (JOB, ".filter(|end| can_be(end) && Some(second(*end)) >= begun);", ".filter(|end| can_be(end));"),
    ],
    "what ended before is history": [
        (JUDGE, "    finished_at <= context.baseline.since\n        || context", "    context"),
    ],
}

GONE = {
    "vanished needs two runs": [
        (ABSENCE, "    match record.absent_since {", "    match record.absent_since.or(Some(jiff::Timestamp::UNIX_EPOCH)) {"),
    ],
    "a minute apart": [
        (ABSENCE, "Some(since) if context.now.duration_since(since) < MIN_TIME_BETWEEN_LOOKS => None,",
         "Some(since) if context.now < since => None,"),
    ],
    "one after the other": [
        (MERGE, "        recorded_at: now,\n        absent_since: None,\n        ..next_revision(record, context)",
         "        recorded_at: now,\n        ..next_revision(record, context)"),
    ],
    "an incomplete run does not count": [
        (OBSERVE, "Ok((at, None)) if self.observed.is_complete => {", "Ok((at, None)) if self.observed.is_complete || true => {"),
    ],
    "who is back is recovered": [
        (JUDGE, "(Incarnation::Same, Phase::Vanished, None) => absence::back(record, job, context),",
         "(Incarnation::Same, Phase::Vanished, None) => absence::back(record, job, context).filter(|_| false),"),
    ],
    "vanishing ends a stall": [
        (ABSENCE, "        recorded_at: now,\n        stall: None,\n        absent_since: None,\n        episode", "        recorded_at: now,\n        absent_since: None,\n        episode"),
    ],
}

CLOSING = {
    "an end closes whatever NOTIFY_ON says": [
        (END, "let is_asked_for = closes || is_news", "let is_asked_for = is_news"),
    ],
    "who heard of an unknown end hears which it was": [
        (END, "let heard = (end == End::Unknown && is_asked_for)", "let heard = (end == End::Unknown && is_asked_for && false)"),
    ],
    "a recovery does": [
        (ACTIVE, "    change(record, next, vec![recovered])\n",
         "    let is_on = context.policy.notify_on.contains(&Kind::Recovered);\n"
         "    change(record, next, is_on.then_some(recovered).into_iter().collect())\n"),
    ],
    "another job's start does": [
        (END, "let is_reported = closes || was_active &&", "let is_reported = was_active &&"),
    ],
    "it is told to those who heard": [
        (TOPIC, "notified.chain([self.own(severity)]).cloned().collect()", "notified.take(0).chain([self.own(severity)]).cloned().collect()"),
    ],
    "it is told to its own topic": [
        (TOPIC, "notified.chain([self.own(severity)]).cloned().collect()",
         "match notified.clone().count() { 0 => [self.own(severity).clone()].into(), _ => notified.cloned().collect() }"),
    ],
    "it resolves the incident": [
        (NOTICES, "incident: closes.then_some(state),", "incident: closes.then_some(state).map(|_| IncidentState::Open),"),
    ],
    "a stall is told once": [
        (SILENCE, "    next.stall = Some(Stall {", "    next.stall = silence.reminder.map(|_| Stall {"),
    ],
}

REMINDERS = {
    "their intervals double": [
        (SILENCE, "first.saturating_mul(2i32.saturating_pow(stall.reminders));", "first;"),
    ],
    "to a day at the most": [
        (SILENCE, "doubled.min(MAX_REMINDER_INTERVAL.max(first));", "doubled;"),
    ],
    "none when stalls are not told": [
        (SILENCE, "|| !is_asked_for ||", "|| record.stall.is_none() && !is_asked_for ||"),
    ],
    "none of a head that waits": [
        (SILENCE, "|| may_wait() ||", "|| record.stall.is_none() && may_wait() ||"),
    ],
}

BEFORE = {
    "the judge of before": [
        # Any change of status or count is life.
        (LIFE, "|count| count > record.job.processed_records.unwrap_or(0)",
         "|count| count != record.job.processed_records.unwrap_or(0)"),
        (LIFE, "stages == (Some(Stage::Waiting), Some(Stage::Running))", "job.status != record.job.status"),
        # Patience is learned from the longest silence, kept here as so many doublings, and has no bound.
        (LIFE, "const DOUBLINGS: u32 = 2;", "const DOUBLINGS: u32 = 20;"),
        (ACTIVE, "        recoveries: record.recoveries.saturating_add(1),",
         "        recoveries: {\n"
         "                let twice = sign.duration_since(record.last_sign_at) * 2;\n"
         "                let longer = |it: &u32| stall_threshold(context.policy.stall_after, *it) >= twice;\n"
         "                (record.recoveries..20).find(longer).unwrap_or(20)\n            },"),
        (ACTIVE, "now.duration_since(*sign) <= allowed;", "now.duration_since(*sign) <= allowed * 1_000;"),
        # One look is enough, to call it stalled or gone.
        (LIFE, "    if has_processed(job) && !has_moved(", "    if has_processed(job) && false && !has_moved("),
        (SILENCE, "!(has_processed(job) && is_first)", "!(has_processed(job) && is_first && false)"),
        (ABSENCE, "    match record.absent_since {", "    match record.absent_since.or(Some(jiff::Timestamp::UNIX_EPOCH)) {"),
        # It has not begun while its heartbeat is its start, and waits for those that started before it and are alive.
        (SILENCE, "let has_not_begun = !has_begun(record, job);",
         "let has_not_begun = !has_begun(record, job) && job.heartbeat_at == job.started_at;"),
        (QUEUE, "holds: !(is_silent && is_overtaken),", "holds: !is_silent || is_overtaken && false,"),
        # A start is compared exactly.
        (JUDGE, "const SAME_START: SignedDuration = SignedDuration::from_mins(1);",
         "const SAME_START: SignedDuration = SignedDuration::from_millis(1);"),
        # An unknown end is told to nobody, and a closing only if NOTIFY_ON has its kind.
        (END, "let is_asked_for = closes || is_news && context.policy.notify_on.contains(&kind);",
         "let is_asked_for = is_news && context.policy.notify_on.contains(&kind) && end != End::Unknown;"),
        (ACTIVE, "    change(record, next, vec![recovered])\n",
         "    let is_on = context.policy.notify_on.contains(&Kind::Recovered);\n"
         "    change(record, next, is_on.then_some(recovered).into_iter().collect())\n"),
    ],
}

LATE = {
    "time counts from the last end": [
        (OVERDUE, "let since = latest_end.max(started_at);", "let since = latest_end.min(started_at);"),
    ],
    "also in the times that are usual": [
        (HISTORY, "latest.map_or(started_at, |latest| latest.ended_at.max(started_at))", "latest.map_or(started_at, |_| started_at)"),
    ],
    "it is overdue at three times that": [(OVERDUE, "const TIMES_USUAL: i64 = 3;", "const TIMES_USUAL: i64 = 2;")],
    "and not before": [(OVERDUE, "const TIMES_USUAL: i64 = 3;", "const TIMES_USUAL: i64 = 4;")],
    "never before the smaller of STALL_AFTER and 1h": [
        (OVERDUE, "Some(limit.max(NOT_BEFORE.min(policy.stall_after)))", "Some(limit)"),
    ],
    "of the two the smaller": [(OVERDUE, "NOT_BEFORE.min(policy", "NOT_BEFORE.max(policy")],
    "a duration has no other bound": [
        (OVERDUE, "OverdueAfter::After(limit) => Some(limit),", "OverdueAfter::After(limit) => Some(limit.max(NOT_BEFORE)),"),
    ],
    "of fewer than five nothing is concluded": [(HISTORY, "const LEAST_ALIKE: usize = 5;", "const LEAST_ALIKE: usize = 3;")],
    "only the last twenty": [(HISTORY, "const ALIKE: usize = 20;", "const ALIKE: usize = 7;")],
    "the last by completion": [
        (HISTORY, "let before = self.before(end.as_second()).rev();", "let before = self.before(end.as_second());"),
    ],
    "only completed ones": [(HISTORY, "likeness(job).filter(|_| has_completed)", "likeness(job).filter(|_| has_completed || true)")],
    "of the same event type": [(HISTORY, "(detector, event_type).hash(&mut hasher);", "detector.hash(&mut hasher);\n    let _ = event_type;")],
    "of the same detector": [(HISTORY, "(detector, event_type).hash(&mut hasher);", "event_type.hash(&mut hasher);\n    let _ = detector;")],
    "with at least half as many records": [(HISTORY, "past.records >= wanted.div_ceil(2);", "past.records >= wanted.div_ceil(2) || true;")],
    "scaled up": [(HISTORY, "    if past.records >= wanted {", "    if past.records >= wanted || past.records > 0 {")],
    "the median": [(HISTORY, "median_s: lower.midpoint(*upper),", "median_s: *upper,")],
    "of equals the longest": [
        (HISTORY, "largest.filter_map(|past| self.scaled(past, wanted)).max()", "largest.filter_map(|past| self.scaled(past, wanted)).min()"),
    ],
    "who waits is not overdue": [(OVERDUE, "queue.is_some_and(|queue| !queue.waits(&job.id))", "queue.is_some() || true")],
    "nor who is cancelling": [(OVERDUE, "Some(Stage::Canceling) | None => false,", "Some(Stage::Canceling) => true,\n        None => false,")],
    "nor whose stall is open": [(OVERDUE, "record.overdue || record.stall.is_some();", "record.overdue;")],
    "it is told once": [(OVERDUE, "record.overdue || record.stall.is_some();", "record.stall.is_some();")],
    "only if asked for": [(OVERDUE, "if !(is_same && is_active && runs && is_asked_for)", "if !(is_same && is_active && runs && (is_asked_for || true))")],
    "an incomplete listing says nothing of what is usual": [
        (OBSERVED, "history: observed.is_complete.then(|| Rc::clone(&observed.history)),", "history: Some(Rc::clone(&observed.history)),"),
    ],
    "a duration by hand does not need it": [
        (OVERDUE, "OverdueAfter::After(limit) => Some(limit),", "OverdueAfter::After(limit) => usual().map(|_| limit),"),
    ],
    "a recovery leaves open what is overdue": [
        (NOTICES, "match record.overdue && occurrence.kind == Kind::Recovered {", "match record.overdue && false {"),
    ],
    "and who heard of it hears the end": [
        (ACTIVE, "        true => record.notified_topics.clone(),", "        true => BTreeSet::new(),"),
    ],
    "overdue opens its incident": [
        (OVERDUE, "incident: Some(IncidentState::Open),", "incident: None,"),
    ],
    "it is not urgent": [
        (OVERDUE, "let own = context.topics.own(Kind::Overdue.severity()).clone();",
         "let own = context.topics.own(Kind::Stalled.severity()).clone();"),
    ],
    "its end closes it": [
        (OVERDUE, "    next.notified_topics.insert(own.clone());\n", ""),
    ],
}

MISSING = {
    "a deadline is concluded once": [
        (DEADLINES, "    record.concluded = Some(deadline.at);\n", ""),
    ],
    "an incomplete listing concludes none": [
        ("src/run/detectors.rs", "asked_at.filter(|_| self.observed.is_complete);", "asked_at;"),
    ],
    "deadlines before EXPECT was first seen don't count": [
        (DEADLINES, "if deadline.at <= record.since || Some", "if Some"),
    ],
    "what completed before the deadline before does not count": [
        (DEADLINES, "first_that_counts(record, jobs, deadline.opens_at)",
         "first_that_counts(record, jobs, deadline.opens_at - jiff::SignedDuration::from_hours(5))"),
    ],
    "what completed after the deadline does, up to now": [
        (DEADLINES, "first_that_counts(record, jobs, deadline.opens_at)",
         "first_that_counts(record, jobs, deadline.opens_at).filter(|it| it.at <= deadline.at)"),
    ],
    "what closed a missing job counts for no other deadline": [
        (DEADLINES, "(!is_early).then_some(arrival)", "(!is_early && false).then_some(arrival)"),
    ],
    "but for one in its own time": [
        (DEADLINES, "true => arrival.at > next.opens_at &&", "true => arrival.at > next.opens_at && false &&"),
    ],
    "or in the last quarter of the time before it": [
        (DEADLINES, "left.saturating_mul(4) <= next", "left.saturating_mul(4_000) <= next"),
    ],
    "a job that comes closes it": [
        (DEADLINES, "let arrived = arrive(&mut next, jobs, context);", "let arrived = arrive(&mut next, jobs, context).filter(|_| false);"),
    ],
    "once": [(DEADLINES, "    record.missing = None;\n", "")],
    "where missing went": [
        (DEADLINES, "topics: missed.notified_topics.clone(),", "topics: BTreeSet::from([context.topics.own(Kind::Arrived.severity()).clone()]),"),
    ],
    "also if EXPECT no longer names it": [
        ("src/run/detectors.rs", "known.filter(|record| record.missing.is_some());", "known.filter(|record| record.missing.is_some() && false);"),
    ],
    "all that is missing until then has one thread": [
        (DEADLINES, "..notice(Kind::Missing, deadline.at, missed.at, expected, context)", "..notice(Kind::Missing, deadline.at, deadline.at, expected, context)"),
    ],
    "an arrival closes the incident": [
        (DEADLINES, "incident: Some(IncidentState::Resolved),", "incident: Some(IncidentState::Open),"),
    ],
    "a job that was deleted in time was in time": [
        (OBSERVED, "jobs.add_recorded(record, is_missed);", "let _ = (&mut *jobs, is_missed);"),
    ],
    "so its detector is kept": [(JOB, "            detector: self.detector.clone(),\n            detector_version: None,", "            detector: None,\n            detector_version: None,")],
    "only a job that completed comes": [
        ("src/watch/detector.rs", "Some(End::Completed) => self.add_completed(&job.id, job.finished_at()),", "Some(End::Completed | End::Canceled) => self.add_completed(&job.id, job.finished_at()),"),
    ],
    "of two that completed one may count for another deadline": [
        ("src/watch/detector.rs", "self.completed.truncate(2);", "self.completed.truncate(1);"),
    ],
    "also of two that completed in the same second": [
        (DEADLINES, "|late| it > late && !late.is_same(it)", "|late| it.at > late.at && !late.is_same(it)"),
    ],
    "where clocks change": [
        ("src/watch/expect/entry.rs", "let by = self.zone.to_ambiguous_timestamp(day.to_datetime(self.by));",
         "let january = self.zone.to_offset(\"2026-01-15T00:00:00Z\".parse().unwrap_or_default());\n"
         "        let january = TimeZone::fixed(january);\n"
         "        let by = january.to_ambiguous_timestamp(day.to_datetime(self.by));"),
    ],
    "a weekend": [("src/watch/expect/entry.rs", "if !self.days.has(day.weekday()) {", "if false && !self.days.has(day.weekday()) {")],
}

IMPORTS = {
    "an import that counts nothing is not stalled": [
        (SILENCE, "if lasted <= allowed || !is_asked_for || may_wait() || shows_nothing() {",
         "let _ = shows_nothing;\n    if lasted <= allowed || !is_asked_for || may_wait() {"),
    ],
    "one that counted is, once it stands still": [
        (SILENCE, "let has_counted = has_processed(&record.job) || has_processed(job);", "let has_counted = false;"),
    ],
    "no import waits for another": [
        (SOURCE, "    runs_one_at_a_time: false,", "    runs_one_at_a_time: true,"),
    ],
    "nor is it counted who does": [
        (SILENCE, "            .filter(|_| context.source.kind().runs_one_at_a_time())\n", ""),
    ],
    "its time counts from its start": [
        (OBSERVED, "latest_end: one_at_a_time.then(latest_end).flatten(),", "latest_end: latest_end(),"),
    ],
    "also in the times that are usual for it": [
        (HISTORY, "if !self.source.runs_one_at_a_time() {", "if !self.source.runs_one_at_a_time() && false {"),
    ],
    "imports are alike by their event type": [
        (SOURCE, "    has_detectors: false,", "    has_detectors: true,"),
    ],
    "EXPECT is not about imports": [
        (JUDGE, "            expect: Expectations::default(),\n            ..self.clone()", "            ..self.clone()"),
    ],
    "nor is a duration by hand": [
        (JUDGE, "OverdueAfter::Auto | OverdueAfter::After(_) => OverdueAfter::Auto,", "after @ (OverdueAfter::Auto | OverdueAfter::After(_)) => after,"),
    ],
}

DEFECTS = SIGNS | ALLOWED | WAITING | SAME | ENDS | GONE | CLOSING | REMINDERS | LATE | MISSING | IMPORTS | BEFORE


def plant(tree, edits):
    """Makes the edits in the tree; answers with the files as they were."""
    before = {}
    for file, old, new in edits:
        path = tree / file
        text = path.read_text()
        before.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit(f"planted.py: {file} has {text.count(old)} times, not once: {old!r}")
        path.write_text(text.replace(old, new))
    return before


def build(tree, environment):
    """Builds the simulation of the tree; answers with its binary."""
    command = ["cargo", "test", "--quiet", "--features", "preview,schema", "--test", "planted", "--no-run"]
    built = subprocess.run(
        command + ["--message-format=json"], cwd=tree, env=environment, text=True, capture_output=True, check=False
    )
    if built.returncode:
        subprocess.run(command, cwd=tree, env=environment, check=False)
        sys.exit("planted.py: it does not build")
    binaries = [line.split('"executable":"')[1].split('"')[0] for line in built.stdout.splitlines()
                if '"executable":"' in line and '"name":"planted"' in line]
    return binaries[-1]


def play(binary, tree):
    """Answers with what was broken, or None."""
    played = subprocess.run(
        [binary, str(SEEDS), str(SECONDS)], cwd=tree, text=True, capture_output=True, check=False
    )
    if played.returncode not in (0, 1):
        sys.exit(f"planted.py: it ends {played.returncode}: {played.stderr}")
    return played.stdout.strip() if played.returncode else None


def copy_of(repository):
    """Copies what is needed to build."""
    tree = repository / "target/defects/tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("src", "tests", ".cargo"):
        if (repository / name).exists():
            shutil.copytree(repository / name, tree / name)
    for file in repository.glob("Cargo.*"):
        shutil.copy(file, tree)
    # What was built last time has a defect in it.
    (tree / "src/lib.rs").touch()
    return tree


def main(wanted):
    repository = pathlib.Path(__file__).resolve().parents[2]
    began = time.monotonic()
    tree = copy_of(repository)
    # The crates that it needs are built once, and then only this one, once for each defect. Not where the real tree
    # is built: cargo would take the one for the other.
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(repository / "target/defects/built"),
        "CARGO_PROFILE_DEV_DEBUG": "false",
    }
    broken = play(build(tree, environment), tree)
    if broken:
        sys.exit(f"planted.py: the unchanged tree breaks a rule: {broken}")
    chosen = {name: edits for name, edits in DEFECTS.items() if not wanted or any(it in name for it in wanted)}
    caught = 0
    for name, edits in chosen.items():
        before = plant(tree, edits)
        broken = play(build(tree, environment), tree)
        for path, text in before.items():
            path.write_text(text)
        caught += broken is not None
        print(f"{name:<50} {broken or 'NOT CAUGHT'}", flush=True)
    print(f"{len(chosen)} planted defects, {caught} caught; {time.monotonic() - began:.0f} s")
    sys.exit(caught != len(chosen))


main(sys.argv[1:])
