// The schemas of a segment as validators (JSON Schema, draft 2020-12), compiled once a configuration.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { LONGEST_MATCHED, MOST_STEPS, schemaProblem, stepsOf } from '../../../operator/api/schema-bounds.ts';
import { Refused } from '../errors.ts';
import { fits } from './topic.ts';

export type Schemas = {
  /** All of those whose filter fits the topic, as one question. Undefined when there are none. */
  of(topic: string): ((m: unknown) => boolean) | undefined;
};

type Validator = { filter: string; validate: (m: unknown) => boolean };

/** Throws `Refused` HR-GW-312, which names the topic and never what stands in the schema. */
export function compileSchemas(schemas: readonly { topic: string; schema: object }[]): Schemas {
  const validators = schemas.map(({ topic, schema }): Validator => ({ filter: topic, validate: compile(topic, schema) }));
  return {
    of(topic) {
      const all = validators.filter(({ filter }) => fits(topic, filter)).map(({ validate }) => validate);
      const [only] = all;
      return all.length < 2 ? only : (m) => all.every((validate) => validate(m));
    },
  };
}

function compile(topic: string, schema: object): Validator['validate'] {
  const problem = schemaProblem(schema);
  if (problem !== undefined) throw new Refused('HR-GW-312', undefined, `${topic}: ${problem}`);
  try {
    const steps = { left: 0 };
    // One for each schema: what one defines by $id is nothing to another.
    const ajv = new Ajv2020({
      strict: false,
      validateFormats: false,
      logger: false,
      ownProperties: true,
      code: { regExp: matcher(steps) },
    });
    const validate = ajv.compile(schema);
    return (m) => {
      steps.left = MOST_STEPS;
      try {
        return validate(m) === true;
      } catch {
        // The stack ended (no schema of ours goes so deep), or the steps did.
        return false;
      }
    };
  } catch (error) {
    throw new Refused('HR-GW-312', error, topic);
  }
}

/** Each text of a message is tried within bounds (operator/api/schema-bounds.ts); a message of many texts, for a schema of many patterns, is so as a whole too. */
const matcher = (steps: { left: number }) =>
  Object.assign(
    (pattern: string, flags: string) => {
      const expression = new RegExp(pattern, flags);
      const costs: (number | undefined)[] = [];
      return {
        test(text: string): boolean {
          if (text.length > LONGEST_MATCHED) return false;
          costs[text.length] ??= stepsOf(pattern, text.length);
          steps.left -= costs[text.length] ?? 0;
          if (steps.left < 0) throw new RangeError('more steps than a message is worth');
          return expression.test(text);
        },
        // By its text the compiler tells one pattern from another.
        toString: () => String(expression),
      };
    },
    { code: 'new RegExp' },
  );
