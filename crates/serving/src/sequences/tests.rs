use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn sequences(batch_size: usize) -> Sequences<&'static str> {
    let policy = SequencePolicy {
        max_idle: Some(SECOND * 10),
        timeout: Some(SECOND * 60),
        queue_size: 2,
        most: 3,
    };
    Sequences::new(
        policy,
        NonZeroUsize::new(batch_size).expect("a batch holds a job"),
    )
}

/// `a+` starts a sequence, `a-` ends it, `a` goes on with it.
fn step(text: &str) -> SequenceStep {
    SequenceStep {
        id: text.trim_end_matches(['+', '-']).into(),
        start: text.contains('+'),
        end: text.contains('-'),
    }
}

/// Plays steps against two workers and compares what each says.
///
/// `a+` and the like arrive; `take 1` is worker 1 asking for a batch, `done 1` that it has answered, `done 1 a` that its
/// answer ended `a`, `lost 1` that it is gone; `dead a` is a client that gives up; `5s` is time that passes. Steps that say nothing are not listed.
fn check(batch_size: usize, steps: &str, expected: &[&str]) {
    let mut sequences = sequences(batch_size);
    let mut now = Instant::now();
    let mut said = Vec::new();
    let say_refused = |refused: Refused<&'static str>, said: &mut Vec<String>| {
        said.extend(
            refused
                .into_iter()
                .map(|(job, why)| format!("{job}: {why}")),
        );
    };
    for part in steps.split('|').map(str::trim) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let worker = || words[1].parse().expect("a worker");
        match words[0] {
            "take" => said.push(format!(
                "{}: {}",
                words[1],
                sequences.take(worker()).join(" ")
            )),
            "done" => {
                let ended: Vec<String> = words[2..].iter().map(ToString::to_string).collect();
                say_refused(sequences.answered(worker(), &ended, now), &mut said);
            }
            "dead" => {
                sequences.drop_dead(|job| *job == words[1]);
                say_refused(sequences.expire(now), &mut said);
            }
            "lost" => say_refused(sequences.lost(worker()), &mut said),
            time if time.ends_with('s') => {
                now += SECOND * time.trim_end_matches('s').parse().expect("seconds");
                say_refused(sequences.expire(now), &mut said);
            }
            job => {
                let job: &'static str = String::leak(job.to_owned());
                if let Err(why) = sequences.push(step(job), job, now, &[1, 2]) {
                    said.push(format!("{job}: {why}"));
                }
            }
        }
    }
    assert_eq!(said, expected, "{steps}");
}

const NOT_OPEN: &str = "is not open: it was never started, has ended or has expired";

#[test]
fn a_sequence_stays_with_its_worker_and_goes_one_by_one() {
    check(
        4,
        "a+ | b+ | a | take 1 | take 2 | take 1 | done 1 | take 2 | take 1",
        &["1: a+", "2: b+", "1: ", "2: ", "1: a"],
    );
}

#[test]
fn a_batch_holds_one_request_of_each_sequence() {
    check(
        4,
        "a+ | b+ | c+ | a | c | take 1 | done 1 | take 1",
        &["1: a+ c+", "1: a c"],
    );
    check(
        1,
        "a+ | b+ | c+ | take 1 | done 1 | take 1",
        &["1: a+", "1: c+"],
    );
}

#[test]
fn a_sequence_ends_when_a_request_or_an_answer_says_so() {
    let not_open = format!("a: sequence a {NOT_OPEN}");
    check(4, "a+ | a- | a", &[&not_open]);
    check(
        4,
        "a+- | take 1 | a | done 1 | a",
        &["1: a+-", &not_open, &not_open],
    );
    check(4, "a+ | take 1 | done 1 a | a", &["1: a+", &not_open]);
    check(
        4,
        "a+ | take 1 | a | done 1 a | take 1",
        &["1: a+", &not_open, "1: "],
    );
    check(4, "a", &[&not_open]);
}

#[test]
fn a_sequence_ends_when_it_is_idle_or_lasts_too_long() {
    let not_open = format!("a: sequence a {NOT_OPEN}");
    check(
        4,
        "a+ | take 1 | done 1 | 9s | a | take 1 | done 1 | 9s | a",
        &["1: a+", "1: a"],
    );
    check(4, "a+ | take 1 | done 1 | 11s | a", &["1: a+", &not_open]);
    check(
        4,
        "a+ | take 1 | 30s | done 1 | a | 31s",
        &["1: a+", &not_open],
    );
}

#[test]
fn a_sequence_whose_last_request_nobody_waits_for_ends_with_the_others() {
    let not_open = format!("a: sequence a {NOT_OPEN}");
    // The place is free for another.
    check(4, "a+- | b+ | c+ | dead a+- | d+ | a", &[&not_open]);
    check(
        4,
        "a+ | take 1 | done 1 | a- | dead a- | a",
        &["1: a+", &not_open],
    );
    // What came before it is served first.
    check(
        4,
        "a+ | take 1 | a | a- | dead a- | a | done 1 | take 1 | done 1 | a | a+ | take 1",
        &["1: a+", &not_open, "1: a", &not_open, "1: a+"],
    );
    // Another than the last ends nothing.
    check(4, "a+ | dead a+ | a | take 1", &["1: a"]);
}

#[test]
fn sequences_and_their_queues_are_bounded() {
    check(
        4,
        "a+ | a | a",
        &["a: sequence a has 2 requests waiting, which is its bound"],
    );
    check(
        4,
        "a+ | b+ | c+ | d+",
        &["d+: 3 sequences are open, which is the bound"],
    );
    check(4, "a+- | b+ | c+ | take 1 | done 1 | d+", &["1: a+- c+"]);
}

#[test]
fn a_lost_worker_ends_its_sequences_and_no_other() {
    check(
        4,
        "a+ | b+ | take 1 | a | lost 1 | take 2 | done 2 | b | take 2",
        &[
            "1: a+",
            "a: sequence a has ended with its worker",
            "2: b+",
            "2: b",
        ],
    );
}
