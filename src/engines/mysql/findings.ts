import type { Finding } from '../engine.js'

export const ok = (code: string, message: string): Finding => ({ level: 'ok', code, message })

export const warning = (code: string, message: string, fix?: string): Finding => ({
  level: 'warning',
  code,
  message,
  ...(fix !== undefined && { fix })
})

export const wrong = (code: string, message: string, fix?: string): Finding => ({
  ...warning(code, message, fix),
  level: 'error'
})
