import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createScreen, type Output } from './screen.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function output(terminal: boolean, columns = 40, rows = 24): Output & { text: () => string } {
  let text = '';
  return {
    isTTY: terminal,
    columns,
    rows,
    write: (more: string) => {
      text += more;
    },
    text: () => text,
  };
}

/** The lines on a terminal after all that was written: knows line feed, CR, cursor up and erase below. */
function shown(written: string): string[] {
  const lines = [''];
  let at = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are made of them
  for (const [token] of written.matchAll(/\u001b\[\??\d*[A-Za-z]|\n|\r|[^\u001b\n\r]+/g)) {
    if (token === '\n') {
      at += 1;
      lines[at] ??= '';
    } else if (token.endsWith('A') && token.startsWith('\u001b')) at -= Number(token.slice(2, -1));
    else if (token === '\u001b[0J') lines.splice(at, lines.length, '');
    else if (!token.startsWith('\u001b') && token !== '\r') lines[at] += token;
  }
  return lines;
}

describe('on a terminal', () => {
  it('the table stays below what scrolls, and is redrawn in place', () => {
    const out = output(true);
    const screen = createScreen(out, { NO_COLOR: '1' });
    let n = 0;
    screen.table(() => ['DEVICE', `row ${n}`]);
    screen.line('first');
    n = 1;
    screen.line('second');
    vi.advanceTimersByTime(1_000);
    expect(shown(out.text())).toEqual(['first', 'second', '', 'DEVICE', 'row 1', '']);
    screen.close();
  });

  it('what is being done is the last line, and goes when it is over', () => {
    const out = output(true);
    const screen = createScreen(out, { NO_COLOR: '1' });
    screen.doing('starting the operator');
    expect(shown(out.text())[0]).toMatch(/^ … {2,}\d+ ms {2}starting the operator$/);
    screen.doing(undefined);
    screen.line('operator: 1.2 s');
    expect(shown(out.text())).toEqual(['operator: 1.2 s', '']);
    screen.close();
  });

  it('closing takes the table away, keeps the lines and gives the cursor back', () => {
    const out = output(true);
    const screen = createScreen(out, { NO_COLOR: '1' });
    screen.table(() => ['DEVICE']);
    screen.line('stays');
    screen.close();
    screen.line('too late');
    expect(shown(out.text())).toEqual(['stays', '']);
    expect(out.text().endsWith('\u001b[?25h')).toBe(true);
  });

  it('breaks long texts where the terminal ends', () => {
    const out = output(true, 30);
    const screen = createScreen(out, { NO_COLOR: '1' });
    screen.text('a sentence that is longer than thirty characters are', 2);
    for (const line of shown(out.text())) expect(line.length).toBeLessThan(30);
    screen.close();
  });

  it('leaves room above the table on a small terminal', () => {
    const out = output(true, 40, 12);
    const screen = createScreen(out, {});
    let asked = 0;
    screen.table((_width, height) => {
      asked = height;
      return [];
    });
    expect(asked).toBe(6);
    screen.close();
  });
});

describe('elsewhere', () => {
  it('prints plain lines without any control code, and the table every few seconds', () => {
    const out = output(false);
    const screen = createScreen(out, {});
    screen.table(() => ['DEVICE', 'thermo']);
    screen.line(screen.paint.red('red'));
    screen.doing('waiting');
    vi.advanceTimersByTime(13_000);
    screen.close();
    expect(out.text()).toBe('red\n\nDEVICE\nthermo\n\n\nDEVICE\nthermo\n\n');
  });

  it('a dumb terminal counts as elsewhere', () => {
    expect(createScreen(output(true), { TERM: 'dumb' }).terminal).toBe(false);
  });
});
