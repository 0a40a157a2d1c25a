import { describe, expect, it } from 'vitest';
import { deviceKind } from '../../operator/api/device.ts';
import { firmwareReleaseKind } from '../../operator/api/firmware-release.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import { segmentPolicyKind } from '../../operator/api/segment-policy.ts';
import { errorParts } from './errors.ts';
import { inCell, inMarkdown } from './markdown.ts';
import { kindParts } from './reference.ts';

const row = (table: string | undefined, path: string): string =>
  table?.split('\n').find((line) => line.startsWith(`| \`${path}\` |`)) ?? '';

describe('the table of fields', () => {
  const spec = kindParts(deviceKind).get('spec');

  it('says of each field its type, whether it is required, and what it means', () => {
    expect(row(spec, 'spec.segment')).toMatch(/^\| `spec\.segment` \| string, required \| Name of a SegmentPolicy/);
    expect(row(spec, 'spec.identity.duration')).toContain('| duration |');
    expect(row(spec, 'spec.grants[].until')).toContain('| time, required |');
    expect(row(spec, 'spec.lifecycle')).toContain('one of `Active` `Quarantined` `Revoked`');
  });

  it('marks what is not supported yet: a field, one of its values, all but one', () => {
    expect(row(spec, 'spec.grants')).toContain('**Not supported yet.**');
    expect(row(kindParts(segmentPolicyKind).get('spec'), 'spec.quarantine.release')).toContain('**Automatic: not supported yet.**');
    expect(row(kindParts(firmwareReleaseKind).get('spec'), 'spec.historyLimit')).toContain('**other than 10: not supported yet.**');
    expect(row(spec, 'spec.segment')).not.toContain('supported');
    expect(row(spec, 'spec.identity')).not.toContain('supported');
  });

  it('has three columns in every row of every kind', () => {
    for (const kind of KINDS)
      for (const part of ['spec', 'status'])
        for (const line of kindParts(kind).get(part)?.split('\n') ?? [])
          expect(line.replaceAll('\\|', '').split('|'), line).toHaveLength(5);
  });
});

describe('what is refused', () => {
  it('is said once, though two lists of topics have the same rules', () => {
    const lines = kindParts(segmentPolicyKind).get('refused')?.split('\n') ?? [];
    expect(lines.filter((line) => line.includes('HR-API-003: a level is empty'))).toHaveLength(1);
    expect(new Set(lines.map((line) => line.slice(line.indexOf('HR-')))).size).toBe(lines.length);
  });
});

it('an error has a heading that can be linked, its cause and its cure', () => {
  const parts = errorParts(new Map([['identity', { 'HR-ID-999': { title: 'Odd', cause: 'a <name> is odd', cure: 'use `<name>`' } }]]));
  expect(parts.get('identity')).toBe('### HR-ID-999 Odd\n\n- **Cause:** a &lt;name> is odd.\n- **Cure:** use `<name>`.');
});

it('Markdown leaves code alone and takes nothing for HTML or emphasis', () => {
  expect(inMarkdown('<a> `<b> *c*` *d*')).toBe('&lt;a> `<b> *c*` \\*d\\*');
  expect(inCell('a|b `c|d`')).toBe('a\\|b `c\\|d`');
});
