//! Group 9: large messages, in one frame and in many, in large writes and in small ones, and many small messages. Nothing
//! is timed: every byte must come back.

use crate::case::{Case, run};
use crate::client::Received;
use crate::frame::{BINARY, FIN, TEXT, fragments, frame};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Letters that differ from their neighbours and from what lies a power of two away.
fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + u8::try_from((at * 7 + at / 26) % 26).expect("below 26")).collect()
}

fn echo(opcode: u8, payload: &[u8]) -> Received {
    match opcode {
        TEXT => Received::Text(String::from_utf8(payload.to_vec()).expect("letters")),
        _ => Received::Binary(payload.to_vec()),
    }
}

/// One case for each kind of message and each size.
fn each(groups: [u32; 2], sizes: &[usize], case: impl Fn(Case, u8, usize) -> Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, opcode) in groups.into_iter().zip([TEXT, BINARY]) {
        for (index, size) in sizes.iter().enumerate() {
            cases.push(case(Case::new(format!("9.{group}.{}", index + 1)), opcode, *size));
        }
    }
    cases
}

#[test]
fn messages_of_64_kib_to_16_mib_come_back() {
    run(&each([1, 2], &[64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB], |case, opcode, size| {
        let payload = payload(size);
        case.send(frame(FIN | opcode, &payload)).expect(echo(opcode, &payload))
    }));
}

#[test]
fn messages_of_4_mib_come_back_however_they_are_cut() {
    let sizes = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
    let payload = payload(4 * MIB);
    run(&each([3, 4], &sizes, |case, opcode, size| {
        case.send(fragments(opcode, payload.chunks(size)).concat()).expect(echo(opcode, &payload))
    }));
}

#[test]
fn messages_of_1_mib_come_back_in_small_writes() {
    let payload = payload(MIB);
    run(&each([5, 6], &[64, 128, 256, 512, 1024, 2048], |case, opcode, size| {
        case.chop(frame(FIN | opcode, &payload), size).expect(echo(opcode, &payload))
    }));
}

#[test]
fn a_thousand_messages_come_back_one_after_the_other() {
    run(&each([7, 8], &[0, 16, 64, 256, 1024, 4096], |case, opcode, size| {
        let payload = payload(size);
        let round = |case: Case, _| case.send(frame(FIN | opcode, &payload)).expect(echo(opcode, &payload));
        (0..1000).fold(case, round)
    }));
}
