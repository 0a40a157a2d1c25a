import { describe, expect, it } from 'vitest';
import { fillMarkers } from './markers.ts';

const page = '# Page\n\n<!-- a -->\nold\n<!-- /a -->\n\nprose\n';

describe('fillMarkers', () => {
  it('renews what stands between the markers and nothing else', () => {
    const filled = fillMarkers(page, 'page.md', new Map([['a', 'new']]));
    expect(filled).toBe('# Page\n\n<!-- a -->\n\nnew\n\n<!-- /a -->\n\nprose\n');
    expect(fillMarkers(filled, 'page.md', new Map([['a', 'new']]))).toBe(filled);
  });

  it('says which part has no place', () =>
    expect(() =>
      fillMarkers(
        page,
        'page.md',
        new Map([
          ['a', ''],
          ['b', ''],
        ]),
      ),
    ).toThrow('page.md needs a line <!-- b -->'));

  it('says which place has no part', () => expect(() => fillMarkers(page, 'page.md', new Map())).toThrow('"a", which nothing makes'));
});
