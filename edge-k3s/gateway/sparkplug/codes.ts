// Why a message of a node is not taken.
export type SparkplugCode = 'HR-GW-801' | 'HR-GW-802' | 'HR-GW-803' | 'HR-GW-804';
