/**
 * Text that others wrote (labels, reasons, keys, a job's error), made fit for a terminal: what would move the cursor, change colours or
 * end the line is written out, so that nobody far away can paint on the screen of who looks. Pure.
 */

// Controls, separators of lines and paragraphs, and what turns the direction of writing.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (one) => {
    if (one === "\n") return "\\n";
    return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
