/** The actions of the audit trail, in words. Names are the API's operation ids. */

/** A test holds that every operation of the API's document has words here. */
export const ACTIONS: Readonly<Record<string, string>> = {
  "users.deactivate": "Deactivated a user",
  "users.deactivate_many": "Deactivated several users",
  "users.reactivate": "Reactivated a user",
  "stats.read": "Read the statistics",
  "stats.series": "Read figures over time",
  "executions.list": "Listed executions",
  "executions.read": "Read an execution",
  "errors.list": "Listed errors",
  "tasks.list": "Listed tasks",
  "tasks.read": "Read a task",
  "queries.list": "Listed queries",
  "users.list": "Listed users",
  "users.read": "Read a user",
  "workflows.list": "Listed workflows",
  "schedules.list": "Listed schedules",
  "audit.list": "Read the audit trail",
  "health.read": "Read the health of this system",
};

/** An action in words; one of a later version of the API as it is. */
export const inWords = (action: string): string => ACTIONS[action] ?? action;
