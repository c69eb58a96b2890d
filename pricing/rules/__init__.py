"""Price rules: data that says how an input turns into a cost; read, checked, chosen, edited, evaluated."""
