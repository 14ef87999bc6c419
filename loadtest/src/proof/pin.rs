//! PIN blocks (ISO 9564-1) under a zone key: format 0, and format 3, whose filling is drawn. DE 52 has eight bytes, so
//! that format 4, which has sixteen, does not fit into it.

use des::TdesEde2;
use des::cipher::{BlockCipherEncrypt, KeyInit};

use super::key::TestKey;
use crate::dice::Dice;

/// What PIN blocks are made of.
#[derive(Clone)]
pub struct PinBlocks {
    zone: TdesEde2,
    /// Format 3 instead of 0.
    drawn_filling: bool,
    /// The same for every card.
    pin: Vec<u8>,
}

impl PinBlocks {
    /// Takes a PIN of 4 to 12 digits.
    pub fn new(key: &TestKey, drawn_filling: bool, pin: &str) -> PinBlocks {
        PinBlocks { zone: TdesEde2::new(key.bytes().into()), drawn_filling, pin: pin.as_bytes().to_vec() }
    }

    /// The encrypted block for a card.
    pub fn block(&self, pan: &[u8], dice: &mut Dice) -> [u8; 8] {
        let mut block = self.clear(pan, dice);
        self.zone.encrypt_block((&mut block).into());
        block
    }

    fn clear(&self, pan: &[u8], dice: &mut Dice) -> [u8; 8] {
        let mut halves = [0x0F; 16];
        halves[0] = if self.drawn_filling { 3 } else { 0 };
        halves[1] = self.pin.len() as u8;
        for (half, digit) in halves[2..].iter_mut().zip(&self.pin) {
            *half = digit & 0x0F;
        }
        if self.drawn_filling {
            halves[2 + self.pin.len()..].fill_with(|| 10 + dice.below(6) as u8);
        }
        // Twelve digits of the card number in front of the check digit.
        let digits = &pan[pan.len() - 13..pan.len() - 1];
        for (half, digit) in halves[4..].iter_mut().zip(digits) {
            *half ^= digit & 0x0F;
        }
        let mut block = [0; 8];
        for (byte, pair) in block.iter_mut().zip(halves.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        block
    }
}

impl std::fmt::Debug for PinBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinBlocks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors::{self, hex};

    #[test]
    fn blocks_of_format_0_are_those_of_the_vectors() {
        for vector in vectors::of("pin_translate").iter().filter(|vector| vector.number("format_out") == 0) {
            let key = TestKey::parse(&vector.text("key_out")).unwrap();
            let pins = PinBlocks::new(&key, false, &vector.expected("pin"));
            let pan = vector.text("pan_out");
            let dice = &mut Dice::new(1);
            assert_eq!(
                hex(&pins.clear(pan.as_bytes(), dice)),
                vector.expected("clear_block_out"),
                "{}",
                vector.id()
            );
            assert_eq!(
                hex(&pins.block(pan.as_bytes(), dice)),
                vector.expected("pin_block_out"),
                "{}",
                vector.id()
            );
        }
    }

    #[test]
    fn format_3_is_filled_with_what_is_drawn() {
        let key = TestKey::parse("3DDADFB0DC7654049D89B96E048AE3EC").unwrap();
        let pins = PinBlocks::new(&key, true, "1234");
        let pan = b"4761739001010010";
        let mut dice = Dice::new(1);
        let (one, other) = (pins.clear(pan, &mut dice), pins.clear(pan, &mut dice));
        assert!(one[..2] == [0x34, 0x12] && one != other);
        let account = [0, 0, 0x17, 0x39, 0x00, 0x10, 0x10, 0x01];
        for (byte, with) in one.iter().zip(account).skip(3) {
            let filling = byte ^ with;
            assert!(filling >> 4 >= 10 && filling & 0x0F >= 10, "{filling:02X}");
        }
    }
}
