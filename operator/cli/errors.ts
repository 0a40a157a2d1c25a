// What can stand between a person at a shell and what they asked for. Other rooms' codes pass through unchanged.
export const ERRORS = {
  'HR-CLI-001': {
    title: 'ClusterUnreachable',
    cause: 'the API server of the kubeconfig gives no answer',
    cure: 'see whether "kubectl get --raw /readyz" answers with the same --kubeconfig and --context',
  },
  'HR-CLI-002': {
    title: 'KubeconfigMissing',
    cause: 'there is neither --kubeconfig, nor KUBECONFIG with one file, nor ~/.kube/config',
    cure: 'pass --kubeconfig FILE; where KUBECONFIG names several files, name one',
  },
  'HR-CLI-003': {
    title: 'ClusterRefused',
    cause: 'the API server answered with an error',
    cure: 'see the message; your own rights are used, "kubectl auth can-i --list" shows them',
  },
  'HR-CLI-004': {
    title: 'FileUnreadable',
    cause: 'a file that a flag names cannot be read',
    cure: 'correct the path, or the rights of the file',
  },
  'HR-CLI-005': {
    title: 'NoSuchDevice',
    cause: 'there is no Device of this name in the namespace',
    cure: 'see "kubectl hedgerow devices -A" for the name and pass its namespace by -n',
  },
} as const;

export type CliCode = keyof typeof ERRORS;

/** `HR-CLI-001: <what was found>. Cure: <cure>`: one line a person can act on. */
export function explain(code: CliCode, found: string): string {
  return `${code}: ${found}. Cure: ${ERRORS[code].cure}`;
}

/** Ends a command with a line that is already fit for a person. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(code: CliCode, found: string) {
    super(explain(code, found));
  }
}
