import { describe, expect, it } from 'vitest';
import { admissionOf, DEFAULT_OPERATOR_USER } from './admission.ts';
import { ERRORS } from './errors.ts';

type Policy = {
  metadata: { name: string };
  spec: { failurePolicy: string; validations: { message: string; messageExpression?: string; reason: string }[] };
};

const pairs = [...admissionOf(DEFAULT_OPERATOR_USER)].map(([name, [policy, binding]]) => ({ name, policy: policy as Policy, binding }));

describe('every admission policy', () => {
  it.each(pairs)('$name refuses when in doubt, and is bound to deny', ({ name, policy, binding }) => {
    expect(policy.spec.failurePolicy).toBe('Fail');
    expect(binding).toMatchObject({ metadata: { name }, spec: { policyName: name, validationActions: ['Deny'] } });
  });

  it.each(pairs)('$name begins its messages with a code of the table, also those that are computed', ({ policy }) => {
    for (const { message, messageExpression, reason } of policy.spec.validations) {
      const code = /^(HR-API-\d{3}): /.exec(message)?.[1] ?? '';
      expect(Object.keys(ERRORS)).toContain(code);
      if (messageExpression !== undefined) expect(messageExpression.startsWith(`'${code}: `)).toBe(true);
      expect(reason).toBe('Invalid');
    }
  });
});

it('the operator of another release takes the place of the default one', () => {
  const text = JSON.stringify([...admissionOf('system:serviceaccount:other:operator')]);
  expect(text).toContain('system:serviceaccount:other:operator');
  expect(text).not.toContain(DEFAULT_OPERATOR_USER);
});
