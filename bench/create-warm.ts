import { profileOf, type KeptPlan } from '../src/templates/register.js'
