import type { LintFinding } from '../../engine.js'
export const lint = (): LintFinding[] => []
