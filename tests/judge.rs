//! The judge, as data: what is known before, what is seen now, and what is told of it.

use std::collections::BTreeSet;

use fraud_job_watch::watch::judge::{
    Expected, NEWS, Terms, first_baseline, judge, judge_absence, judge_silence,
};
use fraud_job_watch::watch::{
    Baseline, Change, Item, Job, Kind, Line, Listed, Phase, Policy, Record, Source, Stall, Status,
};
use jiff::{SignedDuration, Timestamp};

const RUN: &str = "run";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-03-02T12:00:00Z")
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn source() -> Source {
    "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap()
}

fn policy() -> Policy {
    let all: BTreeSet<_> = Kind::CHOICES.into_iter().collect();
    Policy {
        stall_after: SignedDuration::from_hours(1),
        remind_after: None,
        notify_on: all,
    }
}

/// The watch began a day ago.
fn baseline() -> Baseline {
    let since = ago(24 * 60);
    Baseline {
        rev: 2,
        by: RUN.to_owned(),
        since,
        began_at: Some(since),
    }
}

/// A job with this status that started two hours ago and last beat `heartbeat`.
fn job(status: &str, heartbeat: Option<Timestamp>) -> Job {
    let listed = Listed {
        job_id: Some("job".to_owned()),
        status: Some(status.to_owned()),
        ..Listed::default()
    };
    Job {
        started_at: Some(ago(120)),
        heartbeat_at: heartbeat,
        ..Job::read(listed).unwrap()
    }
}

fn finished(status: &str, at: Timestamp) -> Job {
    Job {
        completed_at: Some(at),
        ..job(status, Some(at))
    }
}

/// The record that a judge makes of a job when it is first seen at `seen_at`.
fn record_of(job: &Job, seen_at: Timestamp) -> Record {
    record(&see(None, job, seen_at).expect("a job that is seen is recorded"))
}

fn record(change: &Change) -> Record {
    match &change.item {
        Item::Job(record) => record.as_ref().clone(),
        Item::Watch(_) => panic!("not a job"),
    }
}

fn see(record: Option<&Record>, job: &Job, now: Timestamp) -> Option<Change> {
    see_by(record, job, now, &policy(), &baseline())
}

fn see_by(
    record: Option<&Record>,
    job: &Job,
    now: Timestamp,
    policy: &Policy,
    baseline: &Baseline,
) -> Option<Change> {
    judge(
        record,
        job,
        now,
        &Terms {
            source: &source(),
            policy,
            baseline,
            run: RUN,
        },
    )
}

/// Judges a job as a run does: when it is seen, and then its silence, with a line of its own and `others`.
/// Answers with what is told, and what is recorded at the end.
fn whole(
    before: Option<&Record>,
    job: &Job,
    others: &[(&Job, &Record)],
    policy: &Policy,
) -> (Vec<Kind>, Option<Record>) {
    let (source, baseline) = (source(), baseline());
    let terms = Terms {
        source: &source,
        policy,
        baseline: &baseline,
        run: RUN,
    };
    let mut told = Vec::new();
    let mut standing = before.cloned();
    if let Some(change) = judge(before, job, now(), &terms) {
        told.extend(change.notices.iter().map(|notice| notice.kind));
        standing = Some(record(&change));
    }
    if let Some(known) = standing
        .clone()
        .filter(|known| known.phase == Phase::Active)
    {
        let mut line = Line::default();
        line.add_active(job, &known, now(), policy.stall_after);
        for (other, record) in others {
            line.add_active(other, record, now(), policy.stall_after);
        }
        if let Some(change) = judge_silence(&known, job, now(), &terms, Some(&line)) {
            told.extend(change.notices.iter().map(|notice| notice.kind));
            standing = Some(record(&change));
        }
    }
    (told, standing)
}

/// Each status and none before × each status now × signs of life × before and after `since` × another job alive
/// or not. The table below says what is told in a word for each; everything else is told nothing.
#[test]
fn the_whole_matrix() {
    let active = [
        "IN_PROGRESS_INITIALIZING",
        "IN_PROGRESS",
        "CANCEL_IN_PROGRESS",
        "SOMETHING_NEW",
    ];
    let ended = ["COMPLETE", "FAILED", "CANCELED"];
    // What each end is told as.
    let end_kind = |status: &str| match status {
        "COMPLETE" => Kind::Completed,
        "FAILED" => Kind::Failed,
        "CANCELED" => Kind::Canceled,
        other => panic!("{other} is no end"),
    };
    let signs = [
        ("fresh", Some(ago(5)), false),
        ("stale", Some(ago(90)), true),
        ("missing", None, true),
        ("ahead", Some(ago(-60)), true),
    ];
    let other = job("IN_PROGRESS", Some(ago(1)));
    let other = Job {
        id: String::from("other").try_into().unwrap(),
        started_at: Some(ago(130)),
        ..other
    };
    let other_record = record_of(&other, ago(60));

    let mut befores: Vec<(&str, Option<Record>)> = vec![("none", None)];
    for status in active {
        befores.push((
            status,
            Some(record_of(&job(status, Some(ago(110))), ago(110))),
        ));
    }
    for status in ended {
        befores.push((
            status,
            Some(record_of(&finished(status, ago(100)), ago(100))),
        ));
    }

    let mut cases = 0;
    for (before, record) in &befores {
        let had_ended = ended.contains(before);
        for status in active {
            for (sign, heartbeat, silent) in signs {
                for alone in [true, false] {
                    let seen = job(status, heartbeat);
                    let others = [(&other, &other_record)];
                    let (told, after) = whole(
                        record.as_ref(),
                        &seen,
                        if alone { &[] } else { &others },
                        &policy(),
                    );
                    let waits = status == "IN_PROGRESS_INITIALIZING" && sign == "missing" && !alone;
                    let expected: &[Kind] = if had_ended || !silent || waits {
                        &[]
                    } else {
                        &[Kind::Stalled]
                    };
                    assert_eq!(
                        told, expected,
                        "{before} -> {status}, {sign}, alone: {alone}"
                    );
                    let after = after.expect("an active job is recorded");
                    assert_eq!(after.stall.is_some(), !expected.is_empty());
                    assert_eq!(
                        after.phase,
                        if had_ended {
                            Phase::Ended
                        } else {
                            Phase::Active
                        }
                    );
                    cases += 1;
                }
            }
        }
        for status in ended {
            for (when, at, is_news) in [
                ("after since", ago(10), true),
                ("before since", ago(25 * 60), false),
            ] {
                let (told, after) = whole(
                    record.as_ref(),
                    &Job {
                        started_at: Some(ago(120)),
                        ..finished(status, at)
                    },
                    &[],
                    &policy(),
                );
                // Known active: told whenever it ended. Known ended: final. Unknown: only if it is news.
                let is_told = !had_ended && (record.is_some() || is_news);
                let expected = if is_told {
                    vec![end_kind(status)]
                } else {
                    vec![]
                };
                assert_eq!(told, expected, "{before} -> {status}, ended {when}");
                assert_eq!(
                    after.is_none(),
                    record.is_none() && !is_news,
                    "history is not recorded"
                );
                cases += 1;
            }
        }
    }
    assert_eq!(
        cases,
        befores.len() * (active.len() * signs.len() * 2 + ended.len() * 2)
    );
}

#[test]
fn news_is_at_most_30_days_old() {
    let since = now() - NEWS - SignedDuration::from_hours(24 * 30);
    let old = Baseline {
        since,
        ..baseline()
    };
    let told = |at| see_by(None, &finished("COMPLETE", at), now(), &policy(), &old).is_some();
    assert!(told(now() - NEWS + SignedDuration::from_secs(1)));
    assert!(!told(now() - NEWS));
}

#[test]
fn an_ended_job_without_times_is_silent_until_a_first_listing_was_complete() {
    let timeless = Job {
        started_at: None,
        heartbeat_at: None,
        ..job("FAILED", None)
    };
    let new = Baseline {
        began_at: None,
        ..baseline()
    };
    let silent = see_by(None, &timeless, now(), &policy(), &new).unwrap();
    assert_eq!((silent.notices.len(), record(&silent).expires), (0, None));
    assert_eq!(see(None, &timeless, now()).unwrap().notices.len(), 1);
    assert_eq!(
        see(Some(&record(&silent)), &timeless, now()),
        None,
        "recorded is known"
    );
}

#[test]
fn a_kind_that_was_off_is_recorded_and_not_told_later() {
    let active = record_of(&job("IN_PROGRESS", Some(ago(60))), ago(60));
    let off = Policy {
        notify_on: BTreeSet::new(),
        ..policy()
    };
    let ended = see_by(
        Some(&active),
        &finished("FAILED", ago(1)),
        now(),
        &off,
        &baseline(),
    )
    .unwrap();
    assert!(ended.notices.is_empty());
    assert_eq!(
        see(Some(&record(&ended)), &finished("FAILED", ago(1)), now()),
        None
    );
}

#[test]
fn an_untold_stall_opens_no_episode() {
    let silent = job("IN_PROGRESS", Some(ago(90)));
    let off = Policy {
        notify_on: BTreeSet::from([Kind::Completed]),
        ..policy()
    };
    let (told, after) = whole(None, &silent, &[], &off);
    assert_eq!((told, after.as_ref().unwrap().stall), (vec![], None));
    let (told, _) = whole(after.as_ref(), &silent, &[], &policy());
    assert_eq!(told, [Kind::Stalled], "told once it is asked for");
}

#[test]
fn a_stall_is_told_once_and_its_recovery_doubles_the_patience() {
    let silent = job("IN_PROGRESS", Some(ago(90)));
    let (told, stalled) = whole(None, &silent, &[], &policy());
    assert_eq!(told, [Kind::Stalled]);
    let (told, again) = whole(stalled.as_ref(), &silent, &[], &policy());
    assert_eq!((told, &again), (vec![], &stalled));

    let beats = job("IN_PROGRESS", Some(ago(2)));
    let (told, recovered) = whole(stalled.as_ref(), &beats, &[], &policy());
    let recovered = recovered.unwrap();
    assert_eq!(
        (told, recovered.stall, recovered.patience_s),
        (vec![Kind::Recovered], None, Some(2 * 88 * 60))
    );

    let later = |minutes| {
        let (source, baseline, policy) = (source(), baseline(), policy());
        let terms = Terms {
            source: &source,
            policy: &policy,
            baseline: &baseline,
            run: RUN,
        };
        judge_silence(
            &recovered,
            &beats,
            ago(2) + SignedDuration::from_mins(minutes),
            &terms,
            Some(&Line::default()),
        )
    };
    assert_eq!(later(2 * 88), None);
    assert_eq!(later(2 * 88 + 1).unwrap().notices[0].kind, Kind::Stalled);
}

#[test]
fn a_changed_setting_closes_no_episode() {
    let silent = job("IN_PROGRESS", Some(ago(90)));
    let (_, stalled) = whole(None, &silent, &[], &policy());
    let patient = Policy {
        stall_after: SignedDuration::from_hours(3),
        ..policy()
    };
    assert_eq!(
        whole(stalled.as_ref(), &silent, &[], &patient),
        (vec![], stalled.clone())
    );
    assert_eq!(
        whole(stalled.as_ref(), &silent, &[], &policy()),
        (vec![], stalled)
    );
}

#[test]
fn reminders_come_at_doubling_intervals() {
    let policy = Policy {
        remind_after: Some(SignedDuration::from_mins(30)),
        ..policy()
    };
    let (source, baseline) = (source(), baseline());
    let terms = Terms {
        source: &source,
        policy: &policy,
        baseline: &baseline,
        run: RUN,
    };
    let silent = job("IN_PROGRESS", Some(ago(90)));
    let (_, known) = whole(None, &silent, &[], &policy);
    let mut known = known.unwrap();
    let mut told = Vec::new();
    for minutes in 0..=8 * 60 {
        let now = now() + SignedDuration::from_mins(minutes);
        if let Some(change) = judge_silence(&known, &silent, now, &terms, Some(&Line::default())) {
            let notice = &change.notices[0];
            told.push((
                minutes,
                notice.kind,
                notice.silence.as_ref().unwrap().reminder,
            ));
            known = record(&change);
        }
    }
    let reminder = |minutes, number| (minutes, Kind::Reminder, Some(number));
    assert_eq!(
        told,
        [
            reminder(30, 1),
            reminder(90, 2),
            reminder(210, 3),
            reminder(450, 4)
        ]
    );
}

#[test]
fn a_count_that_moves_is_a_sign_of_life_once_the_heartbeat_is_old() {
    let counted = |count| Job {
        processed_records: Some(count),
        ..job("IN_PROGRESS", Some(ago(40)))
    };
    let known = record_of(&counted(100), ago(40));
    assert_eq!(
        see(Some(&known), &counted(200), ago(20)),
        None,
        "the heartbeat is young: nothing is written"
    );
    let moved = see(Some(&known), &counted(200), now()).unwrap();
    assert_eq!(record(&moved).changed_at, Some(now()));
    assert!(moved.notices.is_empty());
    assert_eq!(
        see(Some(&record(&moved)), &counted(200), now()),
        None,
        "nothing moved since"
    );
}

#[test]
fn beats_and_counts_of_a_lively_job_write_nothing() {
    let known = record_of(&job("IN_PROGRESS", Some(ago(100))), ago(100));
    for status in [
        "IN_PROGRESS",
        "CANCEL_IN_PROGRESS",
        "IN_PROGRESS_INITIALIZING",
    ] {
        for processed in [None, Some(0), Some(7)] {
            let lively = Job {
                processed_records: processed,
                ..job(status, Some(ago(3)))
            };
            assert_eq!(see(Some(&known), &lively, now()), None);
        }
    }
}

#[test]
fn an_older_view_tells_nothing_twice() {
    let fresh = job("IN_PROGRESS", Some(ago(1)));
    let old = job("IN_PROGRESS", Some(ago(100)));
    let (told, stalled) = whole(Some(&record_of(&old, ago(100))), &old, &[], &policy());
    assert_eq!(told, [Kind::Stalled]);
    let (told, recovered) = whole(stalled.as_ref(), &fresh, &[], &policy());
    assert_eq!(told, [Kind::Recovered]);
    let (told, after) = whole(recovered.as_ref(), &old, &[], &policy());
    assert_eq!(
        (told, after),
        (vec![], recovered),
        "an older heartbeat is ignored"
    );

    let ended = record_of(&finished("COMPLETE", ago(1)), now());
    assert_eq!(see(Some(&ended), &fresh, now()), None, "ended is final");
    assert_eq!(
        see(Some(&ended), &finished("FAILED", ago(1)), now()),
        None,
        "ended is final"
    );
    let earlier = Job {
        started_at: Some(ago(600)),
        ..fresh
    };
    assert_eq!(
        see(Some(&ended), &earlier, now()),
        None,
        "an earlier start is another, older job"
    );
}

#[test]
fn the_same_id_with_a_later_start_is_another_job() {
    let ended = record_of(&finished("COMPLETE", ago(90)), ago(90));
    let reborn = Job {
        started_at: Some(ago(10)),
        ..finished("FAILED", ago(5))
    };
    let change = see(Some(&ended), &reborn, now()).unwrap();
    assert_eq!(
        (change.notices[0].kind, record(&change).rev),
        (Kind::Failed, ended.rev + 1)
    );
    let no_start = Job {
        started_at: None,
        ..reborn
    };
    assert_eq!(
        see(Some(&ended), &no_start, now()),
        None,
        "a missing start matches any"
    );
}

#[test]
fn a_vanished_job_that_shows_up_is_judged_as_known_active() {
    let (source, baseline, policy) = (source(), baseline(), policy());
    let terms = Terms {
        source: &source,
        policy: &policy,
        baseline: &baseline,
        run: RUN,
    };
    let active = record_of(&job("IN_PROGRESS", Some(ago(10))), ago(10));
    let gone = judge_absence(&active, ago(6), &terms).unwrap();
    assert_eq!(gone.notices[0].kind, Kind::Vanished);
    let gone = record(&gone);
    assert_eq!(judge_absence(&gone, now(), &terms), None, "told once");
    let beating = job("IN_PROGRESS", Some(ago(7)));
    assert_eq!(
        see(Some(&gone), &beating, ago(1)),
        None,
        "a late view does not bring it back, to vanish a second time"
    );

    let back = see(Some(&gone), &job("IN_PROGRESS", Some(ago(1))), now()).unwrap();
    assert_eq!(
        (
            back.notices.len(),
            record(&back).phase,
            record(&back).expires
        ),
        (0, Phase::Active, None)
    );
    let again = judge_absence(&record(&back), now(), &terms).unwrap();
    let first = judge_absence(&active, ago(6), &terms).unwrap();
    assert_ne!(
        again.notices[0].id, first.notices[0].id,
        "vanishing again is another event"
    );
    let ended = see(Some(&gone), &finished("COMPLETE", ago(1)), now()).unwrap();
    assert_eq!(ended.notices[0].kind, Kind::Completed);
}

#[test]
fn an_unknown_status_with_a_completion_time_has_ended_and_nothing_is_told() {
    let active = record_of(&job("IN_PROGRESS", Some(ago(10))), ago(10));
    let change = see(Some(&active), &finished("ARCHIVED", ago(1)), now()).unwrap();
    assert_eq!(
        (change.notices.len(), record(&change).phase),
        (0, Phase::Ended)
    );
    assert_eq!(
        record(&change).job.status,
        Status::Other("ARCHIVED".to_owned())
    );
}

#[test]
fn an_expired_record_counts_as_absent() {
    let expired = Record {
        expires: Some(ago(1).as_second()),
        ..record_of(&finished("COMPLETE", ago(90)), ago(90))
    };
    let change = see(Some(&expired), &finished("COMPLETE", ago(90)), now()).unwrap();
    assert_eq!(change.expected, Expected::Absent);
}

#[test]
fn a_stall_says_how_many_started_later_and_have_not_begun_and_they_are_not_told_apart() {
    let (source, baseline, policy) = (source(), baseline(), policy());
    let terms = Terms {
        source: &source,
        policy: &policy,
        baseline: &baseline,
        run: RUN,
    };
    let named = |id: &str, minutes: i64, job: Job| Job {
        id: id.to_owned().try_into().unwrap(),
        started_at: Some(ago(minutes)),
        ..job
    };
    let first = named("first", 300, job("IN_PROGRESS", Some(ago(90))));
    let second = named("second", 200, job("IN_PROGRESS_INITIALIZING", None));
    let third = named(
        "third",
        100,
        job("IN_PROGRESS_INITIALIZING", Some(ago(100))),
    );
    let mut line = Line::default();
    for job in [&first, &second, &third] {
        line.add_active(job, &record_of(job, ago(60)), now(), policy.stall_after);
    }
    let stall = judge_silence(
        &record_of(&first, ago(60)),
        &first,
        now(),
        &terms,
        Some(&line),
    )
    .unwrap();
    assert_eq!(stall.notices[0].silence.as_ref().unwrap().waiting, Some(2));
    line.tell(&first.id, now());
    for job in [&second, &third] {
        assert_eq!(
            judge_silence(&record_of(job, ago(60)), job, now(), &terms, Some(&line)),
            None
        );
    }
    let told_before = Record {
        stall: Some(Stall {
            since: ago(300),
            told_at: ago(250),
            reminders: 0,
            reminded_at: ago(250),
        }),
        ..record_of(&first, ago(300))
    };
    let mut line = Line::default();
    line.add_active(&first, &told_before, now(), policy.stall_after);
    let late = judge_silence(
        &record_of(&second, ago(60)),
        &second,
        now(),
        &terms,
        Some(&line),
    )
    .unwrap();
    assert_eq!(
        late.notices[0].kind,
        Kind::Stalled,
        "the notice of the first did not count it"
    );
}

#[test]
fn a_waiting_job_is_given_time_to_begin_when_the_one_before_it_ends() {
    let (source, baseline, policy) = (source(), baseline(), policy());
    let terms = Terms {
        source: &source,
        policy: &policy,
        baseline: &baseline,
        run: RUN,
    };
    let waiting = job("IN_PROGRESS_INITIALIZING", None);
    let known = record_of(&waiting, ago(120));
    let before = |ended| {
        let job = Job {
            id: String::from("before").try_into().unwrap(),
            started_at: Some(ago(300)),
            ..finished("COMPLETE", ended)
        };
        let mut line = Line::default();
        line.add_ended(&job, now(), policy.stall_after);
        judge_silence(&known, &waiting, now(), &terms, Some(&line)).is_some()
    };
    assert!(!before(ago(59)));
    assert!(before(ago(61)));
    assert!(
        judge_silence(&known, &waiting, now(), &terms, None).is_none(),
        "a partial view draws no conclusion"
    );
}

#[test]
fn the_first_run_is_quiet_by_itself() {
    let Item::Watch(new) = first_baseline(now(), RUN).item else {
        panic!("not the watch")
    };
    for status in ["COMPLETE", "FAILED", "CANCELED"] {
        assert_eq!(
            see_by(None, &finished(status, ago(2)), now(), &policy(), &new),
            None
        );
    }
}
