// Text of the tables in Markdown: what is in backticks stays, elsewhere angle brackets are no HTML and stars no emphasis.

export function inMarkdown(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll('<', '&lt;').replaceAll('*', '\\*')))
    .join('');
}

/** The same inside a table, where a bar would begin the next column, in code too. */
export const inCell = (text: string): string => inMarkdown(text).replaceAll('|', '\\|');
