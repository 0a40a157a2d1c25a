// The eight sentences of the guide, each with its example: the manifests are read, every question is asked.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createIntent, type Means, type Party } from './reach.ts';

const GUIDE = join(import.meta.dirname, '..', '..', 'docs', 'guides', 'who-reaches-whom.md');
const NOW = '2026-11-26T00:00:00Z';
const QUESTION =
  /^(?:at (\S+) )?(device|segment|pods|address) (\S+) -> (device|segment|pods|address) (\S+?)(?: by (topic )?(.+?))?: (yes|no)(?:, (.+))?$/;

type Example = { sentence: string; manifests: unknown[]; questions: string[] };

function examples(): Example[] {
  const sections = readFileSync(GUIDE, 'utf8').split(/^## /m).slice(1);
  return sections.map((section) => {
    const block = (language: string): string =>
      [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text).join('---\n');
    return {
      sentence: section.split('\n')[0] ?? '',
      manifests: parseAllDocuments(block('yaml(?: refused)?')).map((document) => document.toJS() as unknown),
      questions: block('questions').trim().split('\n'),
    };
  });
}

function ask(
  manifests: unknown[],
  question: string,
): { answer: 'yes' | 'no'; expected: string; because: string; why: string; grants: number } {
  const [, at = NOW, fromKind = '', from = '', toKind = '', to = '', topic, by, expected = '', because = ''] =
    QUESTION.exec(question) ?? [];
  if (expected === '') throw new Error(`not a question: ${question}`);
  const intent = createIntent(
    manifests.map((object) => ({ source: 'guide', object })),
    Date.parse(at),
  );
  const party = (kind: string, name: string): Party => ({ [kind]: name }) as Party;
  const means: Means = by === undefined ? {} : topic === undefined ? { port: by } : { topic: by };
  const { allowed, missing, grants } = intent.can(party(fromKind, from), party(toKind, to), means);
  return { answer: allowed ? 'yes' : 'no', expected, because, why: missing.join('; '), grants: grants.length };
}

describe('the guide', () => {
  it('has the eight sentences', () => expect(examples().map(({ sentence }) => sentence[0])).toEqual([...'12345678']));

  it.each(examples())('$sentence', ({ manifests, questions }) => {
    expect(questions.length).toBeGreaterThan(0);
    for (const question of questions) {
      const { answer, expected, because, why, grants } = ask(manifests, question);
      expect({ question, answer }).toEqual({ question, answer: expected });
      expect(why).toContain(because);
      // A yes names what grants it, a no what is missing.
      expect({ question, proved: answer === 'yes' ? grants > 0 : why !== '' }).toEqual({ question, proved: true });
      if (expected === 'no') expect({ question, because }).not.toEqual({ question, because: '' });
    }
  });
});
