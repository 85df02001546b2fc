// Issuer prefixes of the card networks; the others number loyalty cards, times in milliseconds and the like.
const issuer = /^(?:2[2-7]|3[0-9]|4|5[0-8]|6[0-9])/

/**
 * Tells whether `digits` is a payment card's number: 13 to 19 digits, a network's prefix and a right check digit.
 * Source: ISO/IEC 7812-1, annex B (the Luhn formula).
 */
export function isCardNumber(digits: string): boolean {
  if (digits.length < 13 || digits.length > 19 || !issuer.test(digits)) return false
  let sum = 0
  let double = false
  for (let i = digits.length - 1; i >= 0; i--) {
    const digit = digits.charCodeAt(i) - 48
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit
    double = !double
  }
  return sum % 10 === 0
}
